"""What `show` prints is the file that says the same."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmer import config
from warmer.core.price import PER_SECOND
from warmer.core.spec import Spec

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "config" / "warmer.yaml", *sorted((ROOT / "config" / "examples").glob("*.yaml"))]


def again(spec: Spec) -> Spec:
    return config.parse(config.dump(config.show(spec)).encode(), path="shown.yaml")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_sample_and_the_examples_survive_being_shown(path: Path) -> None:
    spec = config.load(path)
    assert again(spec) == spec


def test_every_default_is_written_out_and_nothing_else() -> None:
    shown = config.show(config.parse(b"models: [{model: acme/chat}]", path="warmer.yaml"))
    assert shown == {
        "timezone": "UTC",
        "listen": "127.0.0.1:9177",
        "retention": {"beats": "3d", "requests": "90d"},
        "engine": "local",
        "replicate": {
            "token": "env:REPLICATE_API_TOKEN",
            "base_url": "https://api.replicate.com/v1",
            "creates_per_minute": 600,
            "reads_per_minute": 3000,
        },
        "models": [
            {
                "model": "acme/chat",
                "name": "acme/chat",
                "hours": "24/7",
                "policy": "aware",
                "every": "auto",
                "lead": "auto",
                "deadline": "10m",
                "measure": "off",
                "alerts": "on",
                "cancel_on_start": False,
                "traffic": "auto",
            }
        ],
    }


# A control character or half a surrogate pair cannot stand in a file; all other texts can.
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30).filter(lambda text: "r8_" not in text)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64) | texts | st.floats(-1e300, 1e300, allow_nan=False)
# Where YAML 1.1 and 1.2, or a text and a number, are taken for one another.
lookalikes = st.sampled_from(
    ["on", "No", "22:00", "1e3", "010", "0o7", ".5", "~", "", "<<", "=", "1_0", "-", "# no", "a: b"]
)
inputs = st.dictionaries(
    texts | lookalikes,
    st.recursive(
        scalars | lookalikes,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | lookalikes, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
names = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=30).filter(
    lambda name: name.isprintable() and "r8_" not in name
)
prices = st.one_of(
    st.fixed_dictionaries({}),
    st.fixed_dictionaries({"hardware": st.sampled_from(sorted(PER_SECOND))}),
    *(
        st.fixed_dictionaries({"price": st.fixed_dictionaries({key: st.decimals(0, 10, places=8)})})
        for key in ("per_second", "per_output")
    ),
)
entries = st.builds(
    lambda keys, price: {**keys, **price},
    st.fixed_dictionaries(
        {"model": st.sampled_from(["acme/chat", f"acme/chat:{'0a' * 32}"])},
        optional={
            "hours": st.sampled_from(["24/7", "Mo-Fr 08:00-20:00; PH off", ["Sa 22:00-02:00", "Su 10:00-12:00"]]),
            "policy": st.sampled_from(["aware", "fixed"]),
            "every": st.sampled_from(["auto", "1s", "1.2345s", "90m", "2d3h4m5s6ms"]),
            "input": inputs,
            "billing": st.sampled_from(["public", "private", "fast_boot", "official"]),
            "lead": st.sampled_from(["auto", "0s", "2m", "1h"]),
            "deadline": st.sampled_from(["5s", "90s", "24h"]),
            "traffic": st.sampled_from(["auto", "off"]),
            "cancel_on_start": st.booleans(),
            "measure": st.sampled_from(["first_token", "off"]),
            "self_host": st.fixed_dictionaries({"per_hour": st.decimals(0, 1000, places=4)}),
        },
    )
    | st.fixed_dictionaries(
        {"model": st.just("acme/chat"), "policy": st.just("adaptive"), "hardware": st.just("cpu")},
        optional={"shadow": st.sampled_from(["aware", "observe"])},
    ).flatmap(
        lambda keys: st.sampled_from(
            [keys]
            + [{**keys, "cold_target": share} for share in ("2%", "0.1%", "57.3 %", "99.999999%")]
            + [{**keys, "cold_start_price": Decimal(usd)} for usd in ("0.01", "1000")]
        )
    )
    | st.fixed_dictionaries(
        {"cog": st.sampled_from(["http://127.0.0.1:5000", "https://gpu.example.test/up"])},
        optional={"billing": st.sampled_from(["own", "private"]), "every": st.just("30s"), "traffic": st.just("off")},
    ),
    prices,
)
files = st.fixed_dictionaries(
    {"country": st.just("DE"), "models": st.dictionaries(names, entries, min_size=1, max_size=3)},
    optional={
        "timezone": st.sampled_from(["UTC", "Australia/Lord_Howe"]),
        "listen": st.sampled_from(["off", "127.0.0.1:0", "localhost:80", "[::]:9177"]),
        "ledger": st.sampled_from(
            [
                "sqlite:////var/lib/warmer/ledger.db",
                "sqlite:///here.db",
                "postgres://",
                "postgresql://w@a:1,b/x?host=/r",
            ]
        ),
        "defaults": st.fixed_dictionaries({}, optional={"every": st.just("30s"), "hardware": st.just("gpu-t4")}),
    },
)


@settings(max_examples=150, deadline=None)
@given(files)
def test_any_spec_shown_and_read_again_is_the_same(file: dict[str, Any]) -> None:
    models = [{**entry, "name": name} for name, entry in file["models"].items()]
    spec = config.parse(config.dump({**file, "models": models}).encode(), path="warmer.yaml")
    for model, entry in zip(spec.models, models, strict=True):
        assert (model.name, model.input) == (entry["name"], entry.get("input"))
    assert again(spec) == spec
