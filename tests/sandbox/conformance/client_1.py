"""What an application does with the official client 1.0.7. Any surprise ends it with a traceback."""

from __future__ import annotations

import sys
from importlib.metadata import version

from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError

HELLO = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
client = Client()  # REPLICATE_API_TOKEN, REPLICATE_BASE_URL and REPLICATE_POLL_INTERVAL from the environment
llama = client.models.get("meta/meta-llama-3-8b-instruct").latest_version
assert llama is not None
assert version("replicate") == "1.0.7"

# create and poll
made = client.predictions.create(version=HELLO, input={"text": "Alice"})
assert made.status == "starting"
assert made.output is None
made.wait()
assert (made.status, made.output) == ("succeeded", "hello Alice")
assert made.started_at is not None
assert made.metrics is not None
assert made.metrics["predict_time"] > 0
assert client.predictions.get(made.id).completed_at == made.completed_at

# run: held, polled, an iterator, an official model, a model that fails
assert client.run(f"replicate/hello-world:{HELLO}", input={"text": "Bob"}) == "hello Bob"
assert client.run(f"replicate/hello-world:{HELLO}", input={"text": "Carl"}, wait=False) == "hello Carl"
words = list(client.run(f"meta/meta-llama-3-8b-instruct:{llama.id}", input={"prompt": "hi", "max_tokens": 6}))
assert len(words) == 6
polled = client.run(f"meta/meta-llama-3-8b-instruct:{llama.id}", input={"prompt": "hi", "max_tokens": 6}, wait=False)
assert list(polled) == words
(image,) = client.run("black-forest-labs/flux-schnell", input={"prompt": "a cake"})
assert image.read().startswith(b"\x89PNG")
client._request("POST", "/sandbox/failures", json={"model": "replicate/hello-world", "error": "out of memory"})
try:
    client.run(f"replicate/hello-world:{HELLO}", input={"text": "Dora"})
except ModelError as error:
    assert error.prediction.error == "out of memory"
else:
    raise AssertionError("a failed prediction must raise")

# stream
events = list(client.stream(f"meta/meta-llama-3-8b-instruct:{llama.id}", input={"prompt": "hi", "max_tokens": 6}))
assert [event.event.value for event in events] == ["output"] * 6 + ["done"]
assert "".join(map(str, events)) == "".join(words)

# cancel
private = client.models.get("acme/private-llm").latest_version
assert private is not None
booting = client.predictions.create(version=private, input={"prompt": "hi"})
booting.cancel()
assert booting.status == "canceled"
booting.reload()
assert booting.status == "canceled"

# list, page after page
for number in range(105):
    client._request(
        "POST", "/sandbox/customer", json={"model": "replicate/hello-world", "input": {"text": str(number)}}
    )
page = client.predictions.list()
assert len(page.results) == 100
assert page.next is not None
rest = client.predictions.list(page.next)
assert rest.results[-1].id == made.id
assert not {one.id for one in page} & {one.id for one in rest}

# models, versions, hardware, account
assert {"sdxl", "whisper"} <= {model.name for model in client.models.list()}
assert [model.name for model in client.models.search("speech")] == ["whisper"]
sdxl = client.models.get("stability-ai/sdxl")
assert len(sdxl.versions.list().results) == 2
assert sdxl.latest_version is not None
assert sdxl.versions.get(sdxl.latest_version.id).openapi_schema["components"]["schemas"]["Input"]
assert "gpu-t4" in [hardware.sku for hardware in client.hardware.list()]
assert client.accounts.current().username == "acme"
assert client.webhooks.default.secret().key.startswith("whsec_")

# deployments
assert [one.name for one in client.deployments.list()] == ["upscaler"]
deployment = client.deployments.get("acme/upscaler")
assert deployment.current_release is not None
through = deployment.predictions.create(input={"image": "https://example.com/a.png"})
through.wait()
assert (through.status, through.model) == ("succeeded", "nightmareai/real-esrgan")
changed = client.deployments.update("acme", "upscaler", min_instances=1)
assert changed.current_release.number == deployment.current_release.number + 1
assert changed.current_release.configuration.min_instances == 1
mine = client.deployments.create(
    name="mine", model="replicate/hello-world", version=HELLO, hardware="cpu", min_instances=0, max_instances=1
)
assert client.deployments.get(f"{mine.owner}/{mine.name}").current_release.model == "replicate/hello-world"
client.deployments.delete("acme", "mine")

# refusals
for wrong, status in (({"version": HELLO, "input": {}}, 422), ({"version": "f" * 64, "input": {}}, 422)):
    try:
        client.predictions.create(**wrong)
    except ReplicateError as error:
        assert error.status == status
        assert error.title
    else:
        raise AssertionError("a wrong create must raise")
try:
    Client(api_token="nonsense").accounts.current()
except ReplicateError as error:
    assert (error.status, error.title) == (401, "Unauthenticated")
else:
    raise AssertionError("a wrong token must raise")

sys.stdout.write("conforms\n")
