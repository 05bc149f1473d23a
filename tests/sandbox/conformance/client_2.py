"""What an application does with the official client 2.0.0b4. Any surprise ends it with a traceback."""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import version

import httpx
import replicate
from replicate import AuthenticationError, Replicate, UnprocessableEntityError
from replicate.exceptions import ModelError

HELLO = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
client = Replicate()  # REPLICATE_API_TOKEN, REPLICATE_BASE_URL and REPLICATE_POLL_INTERVAL from the environment
control = httpx.Client(base_url=str(client.base_url).replace("/v1", ""))
assert version("replicate") == "2.0.0b4"


def latest(owner: str, name: str) -> str:
    model = client.models.get(model_owner=owner, model_name=name)
    assert model.latest_version is not None
    assert model.latest_version.openapi_schema
    return model.latest_version.id


llama = latest("meta", "meta-llama-3-8b-instruct")

# create and poll
made = client.predictions.create(version=HELLO, input={"text": "Alice"})
assert made.status == "starting"
done = client.predictions.wait(made.id)
assert (done.status, done.output, done.data_removed) == ("succeeded", "hello Alice", False)
assert done.metrics is not None
assert done.metrics.total_time
assert done.started_at
assert done.started_at >= made.created_at
held = client.predictions.create(version=HELLO, input={"text": "Bob"}, prefer="wait=30", cancel_after="10m")
assert (held.status, held.output, held.started_at) == ("processing", "hello Bob", None)
assert held.deadline is not None
assert (held.deadline - held.created_at).total_seconds() == 600
assert client.predictions.get(prediction_id=held.id).status == "succeeded"

# run: held, polled, an official model, a model that fails
assert client.run(f"replicate/hello-world:{HELLO}", input={"text": "Bob"}) == "hello Bob"
assert client.run(f"replicate/hello-world:{HELLO}", input={"text": "Carl"}, wait=False) == "hello Carl"
words = client.run(f"meta/meta-llama-3-8b-instruct:{llama}", input={"prompt": "hi", "max_tokens": 6})
assert len(words) == 6
(image,) = client.run("black-forest-labs/flux-schnell", input={"prompt": "a cake"})
assert image.read().startswith(b"\x89PNG")
control.post("/sandbox/failures", json={"model": "replicate/hello-world", "error": "out of memory"})
try:
    client.run(f"replicate/hello-world:{HELLO}", input={"text": "Dora"})
except ModelError as error:
    assert error.prediction.error == "out of memory"
else:
    raise AssertionError("a failed prediction must raise")

# stream
warnings.simplefilter("ignore", DeprecationWarning)  # it asks for `use`, which is the next call
with_stream = replicate.stream(f"meta/meta-llama-3-8b-instruct:{llama}", input={"prompt": "hi", "max_tokens": 6})
assert "".join(map(str, with_stream)) == "".join(words)
talk = replicate.use(f"meta/meta-llama-3-8b-instruct:{llama}", streaming=True)
assert "".join(talk(prompt="hi", max_tokens=6)) == "".join(words)
streaming = client.predictions.create(version=llama, input={"prompt": "hi", "max_tokens": 6})
assert streaming.urls.stream is not None
with httpx.stream("GET", streaming.urls.stream, headers={"Accept": "text/event-stream"}) as response:
    events = [line for line in response.iter_lines() if line.startswith("event:")]
assert events == ["event: output"] * 6 + ["event: done"]

# cancel
booting = client.predictions.create(version=latest("acme", "private-llm"), input={"prompt": "hi"})
assert client.predictions.cancel(prediction_id=booting.id).status == "canceled"
assert client.predictions.get(prediction_id=booting.id).status == "canceled"

# list, page after page
for number in range(105):
    control.post("/sandbox/customer", json={"model": "replicate/hello-world", "input": {"text": str(number)}})
listed = [one.id for one in client.predictions.list()]  # follows `next` by itself
assert len(listed) == len(set(listed)) > 105
assert listed[-1] == made.id

# models, versions, hardware, account
assert {"sdxl", "whisper"} <= {model.name for model in client.models.list()}
versions = list(client.models.versions.list(model_owner="stability-ai", model_name="sdxl"))
assert len(versions) == 2
assert "gpu-t4" in [hardware.sku for hardware in client.hardware.list()]
assert client.account.get().username == "acme"
key = client.webhooks.default.secret.get().key
assert key is not None
assert key.startswith("whsec_")

# deployments
path = {"deployment_owner": "acme", "deployment_name": "upscaler"}
assert [one.name for one in client.deployments.list()] == ["upscaler"]
release = client.deployments.get(**path).current_release
assert release is not None
through = client.deployments.predictions.create(**path, input={"image": "https://example.com/a.png"})
finished = client.predictions.wait(through.id)
assert (finished.status, finished.deployment) == ("succeeded", "acme/upscaler")
changed = client.deployments.update(**path, min_instances=1).current_release
assert changed is not None
assert changed.number == (release.number or 0) + 1
client.deployments.create(
    name="mine", model="replicate/hello-world", version=HELLO, hardware="cpu", min_instances=0, max_instances=1
)
client.deployments.delete(deployment_owner="acme", deployment_name="mine")

# refusals
for wrong in ({"version": HELLO, "input": {}}, {"version": "f" * 64, "input": {}}):
    try:
        client.predictions.create(**wrong)
    except UnprocessableEntityError as error:
        assert error.body["title"]
    else:
        raise AssertionError("a wrong create must raise")
try:
    Replicate(bearer_token="nonsense").account.get()
except AuthenticationError as error:
    assert error.body["title"] == "Unauthenticated"
else:
    raise AssertionError("a wrong token must raise")

sys.stdout.write("conforms\n")
