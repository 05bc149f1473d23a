"""What a right file means."""

from __future__ import annotations

import hashlib
import traceback
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from warmer import config
from warmer.core.hours import ActiveHours
from warmer.core.price import Billing, Price, price_of
from warmer.core.spec import (
    AccountSpec,
    Alerts,
    Engine,
    Listen,
    ModelSpec,
    PolicyName,
    SecretRef,
    Spec,
    Target,
    TargetKind,
)
from warmer.errors import ConfigError

VERSION = "0123456789abcdef" * 4


def spec_of(text: str) -> Spec:
    return config.parse(text.encode(), path="warmer.yaml")


def model_of(*keys: str, top: str = "") -> ModelSpec:
    lines = "".join(f"    {key}\n" for key in keys)
    (model,) = spec_of(f"{top}\nmodels:\n  - model: acme/chat\n{lines}").models
    return model


def test_the_smallest_file_has_every_default() -> None:
    text = "models: [{model: acme/chat}]"
    assert spec_of(text) == Spec(
        zone=ZoneInfo("UTC"),
        models=(
            ModelSpec(
                name="acme/chat",
                target=Target(kind=TargetKind.MODEL, owner="acme", name="chat"),
                hours=ActiveHours.always_open(),
            ),
        ),
    )
    assert spec_of(text).account == AccountSpec()
    assert spec_of(text).digest == hashlib.sha256(text.encode()).hexdigest()[:12]
    assert spec_of(text).path == "warmer.yaml"


def test_every_key_reaches_the_spec() -> None:
    spec = spec_of(f"""\
timezone: Asia/Tokyo
country: JP
ledger: postgresql://warmer@db.example.test:5433/warmer?sslmode=verify-full
ledger_password: credential:ledger
admin_token: env:ADMIN
alerts: {{to: [env:MAIL, file:/run/secrets/pager], ping: credential:ping}}
engine: shared
replicate:
  token: file:/run/secrets/token
  base_url: http://127.0.0.1:8080/v1/
  creates_per_minute: 6
  reads_per_minute: 60
models:
  - model: acme/chat:{VERSION}
    name: chat
    hours: [Mo-Fr 08:00-20:00; PH off, Sa 22:00-02:00]
    policy: fixed
    every: 1m30s
    input: {{prompt: hi, n: 1, t: 0.5, on: true, none: null, list: [a, {{b: c}}]}}
    billing: private
    price: {{per_second: 0.000225}}
    deadline: 2m
    traffic: off
    measure: first_token
    alerts: off
""")
    zone = ZoneInfo("Asia/Tokyo")
    assert spec == Spec(
        zone=zone,
        ledger="postgresql://warmer@db.example.test:5433/warmer?sslmode=verify-full",
        ledger_password=SecretRef(scheme="credential", name="ledger"),
        admin_token=SecretRef(scheme="env", name="ADMIN"),
        alerts=Alerts(
            to=(SecretRef(scheme="env", name="MAIL"), SecretRef(scheme="file", name="/run/secrets/pager")),
            ping=SecretRef(scheme="credential", name="ping"),
        ),
        engine=Engine.SHARED,
        account=AccountSpec(
            token=SecretRef(scheme="file", name="/run/secrets/token"),
            base_url="http://127.0.0.1:8080/v1",
            creates_per_minute=6,
            reads_per_minute=60,
        ),
        models=(
            ModelSpec(
                name="chat",
                target=Target(kind=TargetKind.MODEL, owner="acme", name="chat", version=VERSION),
                hours=ActiveHours(lines=("Mo-Fr 08:00-20:00; PH off", "Sa 22:00-02:00"), zone=zone, country="JP"),
                policy=PolicyName.FIXED,
                every=timedelta(seconds=90),
                input={"prompt": "hi", "n": 1, "t": 0.5, "on": True, "none": None, "list": ["a", {"b": "c"}]},
                billing=Billing.PRIVATE,
                price=Price(per_second=Decimal("0.000225"), source="file"),
                deadline=timedelta(minutes=2),
                traffic=False,
                first_token=True,
                alerts=False,
            ),
        ),
    )
    assert spec.models[0].where == "warmer.yaml:14"


def test_an_entry_knows_the_lines_of_what_it_names_and_of_its_input() -> None:
    first, second = spec_of(
        """\
defaults:
  input: {n: 1}
models:
  - name: a
    model: x/a
    input:
      n: 2
  - deployment: x/b
"""
    ).models
    places = [first.where, *(first.where_of(key) for key in ("target", "input", ""))]
    assert [place.rpartition(":")[2] for place in places] == ["4", "5", "6", "4"]
    assert [second.where_of(key).rpartition(":")[2] for key in ("target", "input")] == ["8", "2"]


def test_one_address_needs_no_list_and_one_given_twice_is_one() -> None:
    one = SecretRef(scheme="env", name="A")
    for written in ("env:A", "[env:A]", "[env:A, env:A]"):
        assert spec_of(f"alerts: {{to: {written}}}\nmodels: [{{model: acme/chat}}]").alerts == Alerts(to=(one,))


@pytest.mark.parametrize(
    ("top", "entry", "hint"),
    [
        ("alerts: {to: 'slack://a/b/c'}", "", "env:NAME"),
        ("alerts: {to: []}", "", "write"),
        ("alerts: {}", "", "write alerts: {to: env:WARMER_ALERTS}"),
        ("alerts: off", "", "write alerts: {to: env:WARMER_ALERTS}"),
        ("", ", alerts: false", "write `alerts: off`"),
        ("", ", alerts: {to: env:A}", "at the top level"),
        ("to: env:A", "", "under `alerts`"),
    ],
)
def test_alerts_that_are_meant_otherwise_are_refused_with_what_to_write(top: str, entry: str, hint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        spec_of(f"{top}\nmodels: [{{model: acme/chat{entry}}}]")
    (fault,) = refused.value.faults
    assert hint in fault.hint
    assert "slack" not in str(fault)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("127.0.0.1:0", Listen(port=0)),
        ("0.0.0.0:8080", Listen(host="0.0.0.0", port=8080)),
        ('"[::1]:9177"', Listen(host="::1")),
        ("warmer.internal:80", Listen(host="warmer.internal", port=80)),
        ("off", None),  # which is a text: YAML 1.1 took it for false
    ],
)
def test_what_is_listened_on_is_a_host_and_a_port_or_off(written: str, meant: Listen | None) -> None:
    assert spec_of(f"listen: {written}\nmodels: [{{model: acme/chat}}]").listen == meant


def test_this_machine_alone_is_listened_on_where_the_file_says_nothing() -> None:
    listen = spec_of("models: [{model: acme/chat}]").listen
    assert (str(listen), listen) == ("127.0.0.1:9177", Listen())


def test_defaults_hold_where_an_entry_says_nothing_else() -> None:
    spec = spec_of("""\
defaults: {every: 30s, traffic: off, input: {prompt: hi}}
models:
  - {model: acme/chat}
  - {model: acme/code, every: auto, traffic: auto, input: {text: ho}}
""")
    chat, code = spec.models
    assert (chat.every, chat.traffic, chat.input) == (timedelta(seconds=30), False, {"prompt": "hi"})
    assert (code.every, code.traffic, code.input) == (None, True, {"text": "ho"})


def test_an_entrys_own_price_or_hardware_goes_before_both_of_the_defaults() -> None:
    own = Price(per_second=Decimal("0.5"), source="file")
    assert model_of("hardware: gpu-t4").price == price_of("gpu-t4")
    assert model_of("hardware: gpu-t4", "price: {per_second: 0.5}").price == own
    assert model_of(top="defaults: {hardware: gpu-t4}").price == price_of("gpu-t4")
    assert model_of("price: {per_second: 0.5}", top="defaults: {hardware: gpu-t4}").price == own
    assert model_of("hardware: gpu-t4", top="defaults: {price: {per_second: 0.5}}").price == price_of("gpu-t4")
    assert model_of().price is None


def test_a_price_may_be_of_an_output() -> None:
    assert model_of("price: {per_output: 0.003}").price == Price(per_output=Decimal("0.003"), source="file")


@pytest.mark.parametrize("written", ["0.1", "0.000000000001", "1", "0", "1e-4", ".5", "10"])
def test_money_is_what_is_written_to_the_last_digit(written: str) -> None:
    price = model_of(f"price: {{per_second: {written}}}").price
    assert price is not None
    assert price.per_second == Decimal(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("22:00", "22:00"),
        ("on", "on"),
        ("No", "No"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1:30:00", "1:30:00"),
        ("2026-11-18", "2026-11-18"),
        ("=", "="),
        ("<<", "<<"),
        ("1e3", 1000.0),
        ("1.", 1.0),
        ("+1", 1),
        ("-0.5", -0.5),
        ("True", True),
        ("~", None),
        ("NULL", None),
        ("0b11", "0b11"),
        ('"1"', "1"),
        ("'on'", "on"),
    ],
)
def test_values_have_the_types_of_yaml_1_2(written: str, meant: Any) -> None:
    found = model_of(f"input: {{value: {written}}}").input
    assert found == {"value": meant}
    assert type(found["value"]) is type(meant)


def test_harmless_aliases_are_followed_and_share_nothing() -> None:
    spec = spec_of("""\
models:
  - {model: acme/chat, input: &both {prompt: hi, stop: [a]}}
  - {model: acme/code, input: *both}
""")
    first, second = (model.input for model in spec.models)
    assert first == second == {"prompt": "hi", "stop": ["a"]}
    assert first is not second
    assert first["stop"] is not second["stop"]


def test_the_same_target_twice_is_fine_under_two_names() -> None:
    spec = spec_of("models: [{model: acme/chat}, {model: acme/chat, name: other}]")
    assert [model.name for model in spec.models] == ["acme/chat", "other"]


def test_a_deployment_is_a_target_of_its_own() -> None:
    (model,) = spec_of("models: [{deployment: acme/upscaler, billing: deployment}]").models
    assert model.target == Target(kind=TargetKind.DEPLOYMENT, owner="acme", name="upscaler")


def test_what_the_defaults_say_of_beats_passes_a_floor_by() -> None:
    text = """
defaults: {every: 1m, deadline: 2m, input: {prompt: hi}, cold_target: 2%, shadow: adaptive, budget: {daily: 1}}
models: [{deployment: acme/upscaler, policy: floor}, {model: acme/chat}]
"""
    assert [model.policy for model in spec_of(text).models] == ["floor", "aware"]


@pytest.mark.parametrize("every", ["1s", "1.5s", "2h", "1h30m", "1s500ms", "30d"])
def test_durations_are_written_with_their_unit(every: str) -> None:
    assert model_of(f"every: {every}").every is not None


@pytest.mark.parametrize(
    "url", ["http://localhost:80/v1", "http://127.8.9.1/v1", "http://[::1]:9/v1", "https://proxy.example.test:8443"]
)
def test_plain_http_is_for_this_machine_alone(url: str) -> None:
    assert spec_of(f'replicate: {{base_url: "{url}"}}\nmodels: [{{model: acme/chat}}]').account.base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1.example.test/v1",
        "http://localhost.example.test/v1",
        "http://0.0.0.0/v1",
        "http://2130706433/v1",
        "ftp://127.0.0.1/v1",
        "https:///v1",
        "https://api.example.test/v1?x=1",
        "https://api.example.test/v1#x",
        "https://api.example.test/\\nv1",
        "https://@api.example.test/v1",
        "//api.example.test/v1",
    ],
)
def test_another_address_would_show_the_token_to_others(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spec_of(f'replicate: {{base_url: "{url}"}}\nmodels: [{{model: acme/chat}}]')
    assert [(fault.line, fault.column) for fault in caught.value.faults] == [(1, 23)]


def test_a_secret_written_for_anything_is_never_shown() -> None:
    secret = "r8_" + "Sesame" * 6
    for text in (
        f"replicate: {{token: {secret}}}",
        f"replicate: {{token: env:{secret}}}",
        f"replicate: {{base_url: https://{secret}@api.replicate.com/v1}}",
        f"timezone: {secret}",
        f"country: {secret}",
        f"ledger: {secret}",
        f"{secret}: 1",
        f"defaults: {{hours: {secret}, every: {secret}, policy: {secret}, hardware: {secret}}}",
        f"defaults: {{input: {{{secret}: 1, {secret}: 2}}}}",
        f"defaults: {{input: !{secret} 1}}",
        f"defaults: *{secret}",
        f"defaults: &{secret} [*{secret}]",
        f"%{secret}",
        f"@{secret}",
    ):
        with pytest.raises(ConfigError) as caught:
            spec_of(f"models: [{{model: acme/chat}}]\n{text}\n")
        assert "Sesame" not in repr(caught.value.faults)
        assert "Sesame" not in "".join(traceback.format_exception(caught.value))
