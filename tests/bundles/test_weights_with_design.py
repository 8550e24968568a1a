"""Weights bring network, windows and grid along: nothing else has to be remembered to use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import monai.bundle
import pytest
import torch

from petct_ext.errors import InputDataError, find_own_error
from petct_ext.scan.networks.design import read_design
from petct_ext.scan.networks.pretrained import check_weights
from petct_ext.tables.schemas import PREDICTIONS, read_table
from tests.bundles.test_bundles import (  # noqa: F401 - some are fixtures
    BUNDLES,
    OUTPUTS,
    TASK,
    TINY,
    TINY_TRAINING,
    WIDTH,
    datalist,
    name,
    outputs_of,
    run,
    scan_model,
    weights,
    workflow,
)

# What says nothing of the network: no second configuration is needed.
PLAIN: dict[str, Any] = {"num_workers": 0, "cache_rate": 0.0, "batch_size": 2}
OTHER: dict[str, Any] = {
    "network_def#encoder#width": 0.125,
    "network_def#encoder#last_stage": "mixed_3c",
    "network_def#pooling": "mean",
    "network_def#num_frequencies": 0,
    "network_def#channels": [0],
    "pet_range_suv": [0.0, 8.0],
    "ct_unit_hu": 500.0,
    "regions": ["liver", "spine"],
}


def places(folder: Path, datalist: Path) -> dict[str, str]:  # noqa: F811
    return {"datalist": str(datalist), "ckpt_dir": str(folder), "output_dir": str(folder)}


def refused(*configs: str, bundle: str = "scan_model", kind: str = "infer", **options: Any) -> str:
    steps = workflow(BUNDLES / bundle, *configs, kind=kind, **(PLAIN | options))
    with pytest.raises((RuntimeError, InputDataError)) as caught:
        steps.initialize()
    return str(find_own_error(caught.value))


@pytest.fixture(scope="module")
def other_model(datalist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    folder = tmp_path_factory.mktemp("other")
    options = TINY_TRAINING | OTHER | places(folder, datalist)
    run(BUNDLES / "scan_model", "train", "demo", **options)
    return folder / "model.pt"


@pytest.fixture
def bare(scan_model: Path, tmp_path: Path) -> Path:  # noqa: F811
    """The tensors of weights alone."""
    torch.save(dict(torch.load(scan_model, weights_only=True)), tmp_path / "bare.pt")
    return tmp_path / "bare.pt"


def test_weights_of_another_design_predict_with_nothing_on_top(
    datalist: Path,  # noqa: F811
    other_model: Path,
    tmp_path: Path,
) -> None:
    options = {"datalist": str(datalist), "output_dir": str(tmp_path)}
    steps = workflow(
        *(BUNDLES / "scan_model", "inference"),
        kind="infer",
        ckpt_path=str(other_model),
        **(PLAIN | options),
    )
    steps.initialize()
    window = steps.parser.get_parsed_content("device_preprocessing").transforms[1].scaler
    assert (window.a_min, window.a_max) == (0.0, 8.0)
    assert window.b_max == pytest.approx(8.0 / 0.7)
    network = steps.parser.get_parsed_content("network")
    assert network.channels == [0]
    assert network.encoder.last_stage == "mixed_3c"
    steps.run()
    table = read_table(tmp_path / "predictions.csv", PREDICTIONS)
    assert table["task"].tolist() == ["liver", "spine"] * 2


@pytest.mark.parametrize("below", [("train",), ("train", "finetune")])
def test_weights_of_another_design_are_scored_with_nothing_on_top(
    below: tuple[str, ...],
    datalist: Path,  # noqa: F811
    other_model: Path,
    tmp_path: Path,
) -> None:
    options = places(tmp_path, datalist) | {"ckpt_path": str(other_model)}
    run(BUNDLES / "scan_model", *below, "evaluate", **(PLAIN | options))
    assert "val_mean_auroc" in (tmp_path / "metrics.csv").read_text()


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"pet_range_suv": [0.0, 15.0]}, "pet_range_suv [0.0, 10.0] (not [0.0, 15.0])"),
        ({"ct_range_hu": [-500.0, 1000.0]}, "ct_range_hu [-1000.0, 1000.0] (not [-500.0, 1000.0])"),
        ({"pet_unit_suv": 1.0}, "pet_unit_suv 0.7 (not 1.0)"),
        ({"in_plane": 224}, "in_plane 32 (not 224)"),
        ({"network_def#pooling": "sum"}, "pooling attention (not sum)"),
        ({"network_def#encoder#width": 1.0}, "encoder.width 0.0625 (not 1.0)"),
        ({"regions": ["liver"]}, "holds weights of other regions (with full and head_neck and"),
    ],
)
@pytest.mark.parametrize("configs", [("inference",), ("train", "evaluate")])
def test_settings_that_contradict_the_weights_are_refused(
    configs: tuple[str, ...],
    setting: dict[str, Any],
    told: str,
    scan_model: Path,  # noqa: F811
) -> None:
    kind = "train" if "train" in configs else "infer"
    found = refused(*configs, kind=kind, ckpt_path=str(scan_model), **setting)
    assert found.startswith(str(scan_model))
    assert told in found


def test_weights_without_a_design_are_refused_with_the_remedy(bare: Path) -> None:
    told = "does not say what network its weights are of"
    for bundle in ("scan_model", "mortality"):
        for configs, kind in ((("inference",), "infer"), (("train", "evaluate"), "train")):
            found = refused(*configs, bundle=bundle, kind=kind, ckpt_path=str(bare))
            assert told in found
            assert "scripts/stamp_design.py" in found
        start = {"pretrained_path": str(bare)}
        assert told in refused("train", "finetune", bundle=bundle, kind="train", **start)
        start |= TINY_TRAINING
        assert told in refused("train", "demo", bundle=bundle, kind="train", **start)


def test_training_that_contradicts_its_start_is_refused_before_data_are_read(
    scan_model: Path,  # noqa: F811
) -> None:
    for bundle in ("scan_model", "mortality"):
        start = {"pretrained_path": str(scan_model), "bundle": bundle, "kind": "train"}
        found = refused("train", "demo", **(TINY | {"pet_unit_suv": 1.0}), **start)
        assert "a network with pet_unit_suv 0.7 (not 1.0); set network_def and windows" in found
        assert "put configs/finetune.json on top" in found
        found = refused("train", "finetune", ct_unit_hu=500.0, **start)
        assert "ct_unit_hu 400.0 (not 500.0)" in found


@pytest.mark.parametrize("bundle", ["scan_model", "mortality"])
def test_fine_tuning_takes_encoder_windows_and_grid_from_its_start(
    bundle: str,
    datalist: Path,  # noqa: F811
    other_model: Path,
    tmp_path: Path,
) -> None:
    sizes: dict[str, Any] = {"epochs": 1, "exams_per_epoch": 2, "device": "$torch.device('cpu')"}
    options = PLAIN | sizes | {"pretrained_path": str(other_model)}
    if bundle == "mortality":
        options["network_def#num_heads"] = 4  # a head of its own, for 60 channels
    run(BUNDLES / bundle, "train", "finetune", **options, **places(tmp_path, datalist))
    source, tuned = read_design(other_model), read_design(tmp_path / "model.pt")
    assert tuned["windows"] == source["windows"]
    assert tuned["grid"] == source["grid"]
    assert tuned["network"]["encoder"] == source["network"]["encoder"]
    assert tuned["network"]["channels"] == [0]
    assert tuned["regions"] == (["liver"] if bundle == "scan_model" else [TASK])


def test_mortality_horizon_that_the_weights_do_not_know_is_refused(
    datalist: Path,  # noqa: F811
    scan_model: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    options = TINY_TRAINING | places(tmp_path, datalist)
    run(BUNDLES / "mortality", "train", "demo", **options)
    own = {"ckpt_path": str(tmp_path / "model.pt"), "bundle": "mortality"}
    for configs, kind in ((("inference",), "infer"), (("train", "evaluate"), "train")):
        told = refused(*configs, kind=kind, horizon_days=90, **own)
        assert "other regions (without dead_within_90_days, with dead_within_180_days)" in told
        told = refused(*configs, bundle="mortality", kind=kind, ckpt_path=str(scan_model))
        assert "holds weights of full, head_neck, head, which is no outcome" in told
    run(
        BUNDLES / "mortality",
        "inference",
        kind="infer",
        ckpt_path=str(tmp_path / "model.pt"),
        horizon_days=180,
        **(PLAIN | {"datalist": str(datalist), "output_dir": str(tmp_path)}),
    )
    assert set(read_table(tmp_path / "predictions.csv", PREDICTIONS)["task"]) == {TASK}


def test_resumed_and_put_aside_weights_keep_their_design(
    datalist: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    options = TINY_TRAINING | places(tmp_path, datalist)
    run(BUNDLES / "scan_model", "train", "demo", **(options | {"epochs": 1}))
    run(BUNDLES / "scan_model", "train", "demo", **options, pet_range_suv=[0.0, 9.0])
    for file, top in (("model.previous", 10.0), ("last.previous", 10.0), ("model", 9.0)):
        assert read_design(tmp_path / f"{file}.pt")["windows"]["pet_range_suv"] == [0.0, top]
    run(BUNDLES / "scan_model", "train", "demo", **options, pet_range_suv=[0.0, 9.0])
    assert read_design(tmp_path / "last.pt")["windows"]["pet_range_suv"] == [0.0, 9.0]


def test_monai_loads_the_shipped_weights_into_their_network() -> None:
    network: Any = monai.bundle.load(
        "scan_model", bundle_dir=str(BUNDLES), workflow_type="inference", device="cpu"
    )
    saved = check_weights(network, BUNDLES / "scan_model" / "models" / "model.pt")
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, saved[key].to(value.dtype), rtol=0, atol=0)


@pytest.mark.parametrize("configs", [("inference",), ("train", "evaluate"), ("train", "demo")])
def test_windows_grid_outputs_and_network_are_those_of_the_weights(
    name: str,  # noqa: F811
    configs: tuple[str, ...],
    weights: Path,  # noqa: F811
) -> None:
    """A training has its own, which with the demo on top are those that these weights have."""
    is_training = configs[-1] == "demo"
    options = {"in_plane": 32} | WIDTH if is_training else {"ckpt_path": str(weights)}
    kind = "train" if "train" in configs else "infer"
    parser = workflow(BUNDLES / name, *configs, kind=kind, **options).parser
    seen = {key: parser.get_parsed_content(key) for key in ("pet_range_suv", "ct_range_hu")}
    assert seen == {"pet_range_suv": [0.0, 10.0], "ct_range_hu": [-1000.0, 1000.0]}
    assert parser.get_parsed_content("pet_unit_suv") == 0.7
    assert parser.get_parsed_content("ct_unit_hu") == 400.0
    assert parser.get_parsed_content("in_plane") == 32
    assert parser.get_parsed_content("min_slices") == 8
    outputs = parser.get_parsed_content(OUTPUTS[name])
    assert outputs == outputs_of(name)
    network = parser.get_parsed_content("network")
    assert network.regions == outputs
    assert network.encoder.last_stage == "mixed_4b"
    assert network.state_dict().keys() == torch.load(weights, weights_only=True).keys()


def test_weights_are_loaded_whatever_handlers_are_switched_off(
    datalist: Path,  # noqa: F811
    other_model: Path,
    tmp_path: Path,
) -> None:
    """Else a table of an untrained network would look like any other."""
    tables = []
    for number, off in enumerate(({}, {"named_handlers#weights#_disabled_": True})):
        places = {"datalist": str(datalist), "output_dir": str(tmp_path / str(number))}
        run(
            *(BUNDLES / "scan_model", "inference"),
            kind="infer",
            ckpt_path=str(other_model),
            **(PLAIN | places | off),
        )
        tables.append(read_table(tmp_path / str(number) / "predictions.csv", PREDICTIONS))
    assert tables[0]["prob"].tolist() == tables[1]["prob"].tolist()


def test_training_goes_on_without_the_saver_of_the_best_weights(
    datalist: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    off = {"validate#named_handlers#best_weights#_disabled_": True, "val_interval": 1}
    options = TINY_TRAINING | places(tmp_path, datalist) | off
    run(BUNDLES / "scan_model", "train", "demo", **options)
    assert (tmp_path / "last.pt").is_file()
    assert not (tmp_path / "model.pt").exists()
