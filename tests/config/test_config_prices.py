"""A price table of the owner's own, in place of the package's."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from warmer import config
from warmer.core.price import TABLE, Price, PriceTable
from warmer.core.spec import Spec
from warmer.errors import ConfigError

TABLE_OF_OURS = "date: 2026-12-01\nper_second:\n  gpu-t4: 0.0003\n  gpu-h200: 0.0019\n"


def load(folder: Path, keys: str, *, table: str = TABLE_OF_OURS) -> Spec:
    (folder / "prices.yaml").write_text(table)
    file = folder / "warmer.yaml"
    file.write_text(f"prices: prices.yaml\nmodels: [{{model: acme/chat, {keys}}}]\n")
    return config.load(file)


def test_hardware_has_the_price_and_the_date_of_the_table(tmp_path: Path) -> None:
    (model,) = load(tmp_path, "hardware: gpu-h200").models

    assert model.price == Price(per_second=Decimal("0.0019"), source="gpu-h200@2026-12-01")
    assert model.prices == PriceTable(
        read_on=date(2026, 12, 1), per_second={"gpu-t4": Decimal("0.0003"), "gpu-h200": Decimal("0.0019")}
    )


def test_the_table_is_whole_in_place_of_the_packages(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "hardware: gpu-a100-large")
    (fault,) = caught.value.faults
    assert (fault.line, fault.column) == (2, 39)
    assert "not a SKU with a known price" in fault.problem


def test_an_entrys_own_price_goes_before_the_table(tmp_path: Path) -> None:
    (model,) = load(tmp_path, "price: {per_second: 0.5}").models
    assert model.price == Price(per_second=Decimal("0.5"), source="file")


def test_without_a_file_the_packages_table_holds() -> None:
    (model,) = config.parse(b"models: [{model: acme/chat}]", path="warmer.yaml").models
    assert model.prices == TABLE


def test_what_is_shown_names_the_table(tmp_path: Path) -> None:
    spec = load(tmp_path, "hardware: gpu-h200")
    shown = config.dump(config.show(spec)).encode()
    assert config.parse(shown, path=str(tmp_path / "shown.yaml")) == spec


@pytest.mark.parametrize("written", ["nowhere.yaml", "/dev/null", "'.'", '"a\\0b"'])
def test_a_table_that_is_not_there_is_told_at_its_key(tmp_path: Path, written: str) -> None:
    file = tmp_path / "warmer.yaml"
    file.write_text(f"prices: {written}\nmodels: [{{model: acme/chat}}]\n")
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    assert [(fault.file, fault.line, fault.column) for fault in caught.value.faults] == [(str(file), 1, 9)]


@pytest.mark.parametrize(
    ("table", "places"),
    [
        ("gpu-t4: 0.0003\n", [(1, 1)]),
        ("date: 2026-12-01\nper_second: {}\n", [(1, 1)]),
        ("date: 2026-12-01\nper_second: [1]\n", [(2, 13)]),
        ("date: 2026-13-01\nper_second: {gpu-t4: 0.0003}\n", [(1, 7)]),
        ("date: 20261201\nper_second: {gpu-t4: 0.0003}\n", [(1, 7)]),
        ("date: 2026-12-01\nper_second: {gpu-t4: -1, Nvidia T4: 0.1, cpu: $1}\n", [(2, 22), (2, 37), (2, 47)]),
        ("date: 2026-12-01\nper_second: {gpu-t4: 0.1, gpu-t4: 0.2}\n", [(2, 27)]),
    ],
)
def test_what_is_wrong_in_the_table_is_told_with_its_place(
    tmp_path: Path, table: str, places: list[tuple[int, int]]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "hardware: gpu-t4", table=table)

    assert [(fault.file, fault.line, fault.column) for fault in caught.value.faults] == [
        (str(tmp_path / "prices.yaml"), *place) for place in places
    ]
    assert all(fault.hint for fault in caught.value.faults)
