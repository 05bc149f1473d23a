from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from warmer.errors import UsageError
from warmer.sandbox.traits import Kind
from warmer.sandbox.world_file import read_world

BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
DOCS = Path(__file__).parents[2] / "docs" / "sandbox.md"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "world.toml"
    path.write_text(text, "utf-8")
    return path


def test_an_empty_file_is_the_catalogue(tmp_path: Path) -> None:
    world = read_world(write(tmp_path, ""), begin=BEGIN)
    assert world.model("stability-ai/sdxl").idle_timeout_s == 300
    assert world.deployment("acme/upscaler").model == "nightmareai/real-esrgan"


def test_what_a_table_names_is_changed_and_the_rest_stays(tmp_path: Path) -> None:
    world = read_world(
        write(
            tmp_path,
            '[models."stability-ai/sdxl"]\nidle_timeout_s = 45\n[deployments."acme/upscaler"]\nmin_instances = 1',
        ),
        begin=BEGIN,
    )
    sdxl = world.model("stability-ai/sdxl")
    assert (sdxl.idle_timeout_s, sdxl.boot_s) == (45.0, 25)
    assert world.deployment("acme/upscaler").min_instances == 1
    assert len(world.journal.instances(BEGIN)) == 1


def test_models_deployments_and_the_account_can_be_new(tmp_path: Path) -> None:
    text = """
    seed = 7
    catalogue = false
    [account]
    username = "me"
    tokens = ["r8_warmer_1", "r8_shop_2"]
    creates_per_minute = 60
    [models."me/painter"]
    kind = "images"
    hardware = "gpu-a100-large"
    private = true
    boot_s = 90
    versions = 2
    growth = [{keys = ["num_inference_steps"], seconds = 0.1}]
    [models."me/flash"]
    kind = "images"
    is_official = true
    usd_per_output = "0.003"
    schema = "flux-schnell"
    [deployments."me/live"]
    model = "me/painter"
    min_instances = 1
    """
    world = read_world(write(tmp_path, text), begin=BEGIN)
    painter = world.model("me/painter")
    assert [model.slug for model in world.models] == ["me/painter", "me/flash"]
    assert (painter.kind, painter.hardware, len(painter.versions)) == (Kind.IMAGES, "gpu-a100-large", 2)
    assert world.model("me/flash").usd_per_output == Decimal("0.003")
    assert world.deployment("me/live").version == painter.latest.id
    assert (world.account.username, world.account.knows("r8_shop_2"), world.account.knows("r8_x")) == (
        "me",
        True,
        False,
    )
    assert world.seed == 7


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sead = 1", "sead: unknown key; use one of seed"),
        ('seed = "x"', "seed: 'x' does not fit; write a whole number"),
        ("seed = true", "seed: True does not fit; write a whole number"),
        ("seed = ", "is not TOML"),
        ("[models.sdxl]\nboot_s = 1", 'models."sdxl": write the name as "owner/name", in quotes'),
        ('[models."a/b"]\nboot = 1', 'models."a/b".boot: unknown key; use one of owner'),
        ('[models."a/b"]\nboot_s = "1"', "models.\"a/b\".boot_s: '1' does not fit; write a number"),
        ('[models."a/b"]\nboot_s = 0', 'models."a/b": boot_s is 0.0: use a number of seconds above 0'),
        ('[models."a/b"]\nhardware = "abacus"', "models.\"a/b\": hardware 'abacus' is not rented out; use one of cpu"),
        ('[models."a/b"]\nkind = "song"', "models.\"a/b\".kind: 'song' is unknown; use one of text"),
        ('[models."a/b"]\nschema = "song"', "models.\"a/b\".schema: there is no schema 'song': use one of text"),
        ('[models."a/b"]\nname = "c"', 'models."a/b".name: leave it out'),
        ('[models."a/b"]\nis_official = true', 'models."a/b": usd_per_output belongs to official models'),
        (
            '[models."a/b"]\nusd_per_output = 0.003',
            'models."a/b".usd_per_output: 0.003 does not fit; write money as text',
        ),
        ('[models."a/b"]\ngrowth = [{keys = []}]', 'models."a/b".growth[0]: seconds missing'),
        (
            '[deployments."a/b"]\nmin_instances = 1',
            "deployments.\"a/b\".model: 'None' is no model here; use one of meta/",
        ),
        (
            '[deployments."acme/upscaler"]\nmin_instances = 9',
            'deployments."acme/upscaler": min_instances is 9: use 0 to 5',
        ),
        ('[deployments."acme/upscaler"]\nversion = "x"', "deployments: nightmareai/real-esrgan has no version 'x'"),
        ('[account]\ntokens = ["sk-1"]', "account: tokens: each must start with r8_"),
        ('[account]\ntokens = "r8_x"', "account.tokens: write a list of texts"),
    ],
)
def test_a_wrong_key_is_named_with_what_to_write(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_world(write(tmp_path, text), begin=BEGIN)
    assert str(refused.value).startswith(f"{tmp_path / 'world.toml'}: {told}")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pass a world file that exists"):
        read_world(tmp_path / "none.toml", begin=BEGIN)


def test_the_example_in_the_docs_is_a_world(tmp_path: Path) -> None:
    example = DOCS.read_text("utf-8").partition("```toml\n")[2].partition("```")[0]
    world = read_world(write(tmp_path, example), begin=BEGIN)
    assert world.seed == 7
