"""Weights say what they are of and what they were trained to see, and nothing else passes."""

from __future__ import annotations

import copy
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from torch import nn

from petct_ext.errors import InputDataError
from petct_ext.scan.networks.definition import build, definition_of, plain
from petct_ext.scan.networks.design import (
    build_encoder,
    build_network,
    copy_metadata,
    note_design,
    read_design,
    read_start,
)
from petct_ext.scan.networks.exported import fold_batch_norms
from petct_ext.scan.networks.pretrained import check_weights, load_start
from petct_ext.scan.networks.region_classifier import RegionClassifier
from petct_ext.scan.networks.stamping import configured_network, stamp_design
from petct_ext.training.checkpoints import AtomicCheckpointSaver
from tests.scan.networks.patch_encoder import PatchEncoder
from tests.scan.networks.region_networks import GRID, WINDOWS, region_classifier

REGIONS = ["full", "liver", "spine"]
SMALL: dict[str, Any] = {"width": 0.0625, "last_stage": "mixed_3b", "num_heads": 2}


def trained(*, regions: list[str] = REGIONS, **options: Any) -> RegionClassifier:
    network = region_classifier(2, len(regions), regions=regions, **(SMALL | options))
    note_design(network, windows=WINDOWS, grid=GRID)
    return network.eval()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(trained().state_dict(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def rewrite(path: Path, **changes: Any) -> Path:
    """Changes parts of the design in a file."""
    state = torch.load(path, weights_only=True)
    own = state._metadata[""]
    own["design"] = own["design"] | changes
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"width": 0.125, "last_stage": "mixed_4b", "batch_norm_eps": 1e-5},
        {"channels": [1], "pooling": "mean"},
        {"num_heads": 1, "project_values": False},
        {"num_frequencies": 2, "dropout": 0.1, "channels_last": True},
    ],
    ids=str,
)
def test_network_is_rebuilt_from_the_file_alone(options: dict[str, Any], tmp_path: Path) -> None:
    network = trained(**options)
    torch.save(network.state_dict(), tmp_path / "model.pt")
    design = read_design(tmp_path / "model.pt")
    built = build_network(design)
    built.load_state_dict(check_weights(built, tmp_path / "model.pt"))
    assert definition_of(built) == definition_of(network)
    image = torch.rand(1, 2, 32, 32, 9)
    with torch.inference_mode():
        torch.testing.assert_close(built.eval()(image), network(image), rtol=0, atol=0)


def test_design_holds_windows_grid_outputs_and_versions(weights: Path) -> None:
    design = read_design(weights)
    assert (design["windows"], design["grid"], design["regions"]) == (WINDOWS, GRID, REGIONS)
    assert design["network"]["encoder"]["_target_"] == "petct_ext.scan.networks.i3d.I3DEncoder"
    assert set(design["versions"]) == {"petct_ext", "torch", "monai"}
    assert design["source"] == str(weights)


def test_design_survives_checkpoints_copies_and_folding(tmp_path: Path) -> None:
    network = trained()
    engine = Engine(lambda *_: None)
    saved = {"network": network, "optimizer": torch.optim.Adam(network.parameters())}
    AtomicCheckpointSaver(str(tmp_path), saved, save_final=True, final_filename="last.pt").attach(
        engine
    )
    engine.run([0])
    torch.save(fold_batch_norms(network).state_dict(), tmp_path / "folded.pt")
    torch.save(copy.deepcopy(network).state_dict(), tmp_path / "copied.pt")
    torch.save({"model": network.state_dict()}, tmp_path / "wrapped.pt")
    for name in ("last", "folded", "copied", "wrapped"):
        assert read_design(tmp_path / f"{name}.pt")["windows"] == WINDOWS


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"windows": WINDOWS | {"pet_range_suv": [0, 15]}}, r"pet_range_suv \[0\.0, 10\.0\] \(not"),
        ({"windows": WINDOWS | {"ct_unit_hu": 1.0}}, r"ct_unit_hu 400\.0 \(not 1\.0\)"),
        ({"grid": {"in_plane": 224}}, r"in_plane 32 \(not 224\)"),
        ({"encoder": {"width": 1.0}}, r"encoder\.width 0\.0625 \(not 1\.0\)"),
        (
            {"encoder": {"_target_": "petct_ext.scan.networks.Other"}},
            r"encoder I3DEncoder \(not Other",
        ),
        ({"encoder": {"widht": 1.0}}, r"no option encoder\.widht"),
        ({"num_heads": 8}, r"num_heads 2 \(not 8\)"),
        ({"channels": [0]}, r"channels \[0, 1\] \(not \[0\]\)"),
        ({"regions": ["full", "spine", "liver"]}, r"same regions in another order \(output 1 is l"),
        ({"regions": ["full"]}, r"other regions \(with liver and spine\)"),
    ],
)
def test_what_contradicts_the_design_is_refused_with_both_values(
    given: dict[str, Any], told: str, weights: Path
) -> None:
    with pytest.raises(InputDataError, match=told) as caught:
        build_network(read_design(weights), **given)
    assert str(caught.value).startswith(str(weights))


def test_what_changes_no_result_may_differ(weights: Path) -> None:
    design = read_design(weights)
    free: dict[str, Any] = {"encoder": {"gradient_checkpointing": True}, "dropout": 0.5}
    built = build_network(design, **free, grid={"in_plane": 32, "min_slices": 20})
    assert built.encoder.gradient_checkpointing  # type: ignore[union-attr]
    assert built.dropout == 0.5
    check_weights(built, weights)


def test_training_goes_on_with_other_outputs(weights: Path) -> None:
    start = read_start(weights)
    built: Any = build_network(start, outputs=["pancreas"])
    assert (built.regions, built.num_regions) == (["pancreas"], 1)
    encoder = build_encoder(start)
    assert definition_of(encoder) == start["network"]["encoder"]
    with pytest.raises(InputDataError, match=r"last_stage mixed_3b \(not mixed_5c\)"):
        build_encoder(start, last_stage="mixed_5c")
    with pytest.raises(InputDataError, match="add --pretrained_path"):
        read_start(None)


@pytest.mark.parametrize("content", ["tensors", "old", "half", "no dictionary", "number"])
def test_weights_without_a_design_are_refused_with_the_remedy(content: str, weights: Path) -> None:
    state: Any = torch.load(weights, weights_only=True)
    if content == "tensors":
        state = dict(state)
    elif content == "old":
        state._metadata[""]["design"] = {"pooling": "mean", "channels": [0, 1]}
    elif content == "half":
        del state._metadata[""]["design"]["windows"]
    else:
        state = {"model": 3} if content == "number" else [1, 2]
    torch.save(state, weights)
    with pytest.raises(InputDataError, match=r"does not say what network .*stamp_design\.py"):
        read_design(weights)


def test_network_noted_without_windows_starts_from_no_file_without_them(weights: Path) -> None:
    """A library may know nothing of windows; a bundle's training does."""
    state = torch.load(weights, weights_only=True)
    del state._metadata[""]["design"]["windows"]
    torch.save(state, weights)
    unaware = region_classifier(2, 1, **SMALL)
    assert load_start(unaware, pretrained_path=weights, kinetics_path=None) > 0
    with pytest.raises(InputDataError, match="does not say what network"):
        load_start(trained(), pretrained_path=weights, kinetics_path=None)


def test_start_with_other_windows_or_grid_is_refused(weights: Path) -> None:
    other = region_classifier(2, 1, **SMALL)
    note_design(
        other, windows=WINDOWS | {"pet_range_suv": [0.0, 15.0]}, grid=GRID | {"in_plane": 48}
    )
    with pytest.raises(
        InputDataError,
        match=r"pet_range_suv \[0\.0, 10\.0\] \(not \[0\.0, 15\.0\]\), in_plane 32 \(not 48\); "
        r".*finetune\.json on top",
    ):
        load_start(other, pretrained_path=weights, kinetics_path=None)


def test_torchs_loader_tells_other_windows(weights: Path) -> None:
    other = trained()
    note_design(other, windows=WINDOWS | {"pet_unit_suv": 1.0}, grid=GRID)
    with pytest.raises(RuntimeError, match=r"a network with pet_unit_suv 0\.7 \(not 1\.0\)"):
        other.load_state_dict(torch.load(weights, weights_only=True))


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "torch.nn.Linear",
        "petct_ext_of_another.networks.Encoder",
        "monai.bundle.ConfigWorkflow",
        "$__import__('os').system('true')",
        None,
    ],
)
@pytest.mark.parametrize("place", ["network", "encoder"])
def test_hostile_target_is_refused(target: Any, place: str, weights: Path) -> None:
    network = read_design(weights)["network"]
    hostile = {"_target_": target, "command": "touch hacked"}
    changed = hostile if place == "network" else network | {"encoder": hostile}
    design = read_design(rewrite(weights, network=changed))
    with pytest.raises(InputDataError, match=r"only networks of petct_ext\.\* and monai\.networks"):
        build_network(design)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("petct_ext.files.write_text", "which is none; use weights from someone you trust"),
        ("petct_ext.errors.InputDataError", "which is none"),
        ("petct_ext.scan.networks.pretrained.Path", "which is none"),
        ("petct_ext.scan.networks.i3d.Renamed", "which this petct_ext does not have.*stamp_design"),
        ("petct_ext.gone.I3DEncoder", "which this petct_ext does not have"),
        ("petct_ext.scan.networks.i3d.I3DEncoder", r"cannot be made \(.*unexpected keyword"),
    ],
)
def test_target_of_the_package_that_is_no_network_is_refused(
    target: str, told: str, weights: Path, tmp_path: Path
) -> None:
    network = {"_target_": target, "path": str(tmp_path / "hacked"), "text": "x"}
    design = read_design(rewrite(weights, network=network))
    with pytest.raises(InputDataError, match=told):
        build_network(design)
    assert not (tmp_path / "hacked").exists()


def test_network_that_no_file_may_name_is_told_before_it_is_trained() -> None:
    network = RegionClassifier(PatchEncoder(), 3)
    with pytest.raises(
        InputDataError,
        match=r"patch_encoder\.PatchEncoder is .*could not be used after the training",
    ):
        note_design(network, windows=WINDOWS, grid=GRID)


def test_expressions_in_a_file_are_words(weights: Path) -> None:
    network = read_design(weights)["network"] | {"pooling": "$__import__('os').getcwd()"}
    with pytest.raises(InputDataError, match=r"pooling is \"\$__import__"):
        build_network(read_design(rewrite(weights, network=network)))


def test_values_that_json_lacks_are_refused(weights: Path) -> None:
    with pytest.raises(InputDataError, match=r"windows\.x is tensor.*which JSON has no form for"):
        read_design(rewrite(weights, windows={"x": torch.ones(1)}))
    with pytest.raises(InputDataError, match=r"windows is .*which JSON has no form"):
        plain(object(), "windows")


def test_design_of_a_later_form_is_refused(weights: Path) -> None:
    with pytest.raises(InputDataError, match=r"design of form 99, this .* up to 1; use petct_ext"):
        read_design(rewrite(weights, format=99))


def test_networks_of_monai_can_be_named() -> None:
    made = build({"_target_": "monai.networks.nets.Regressor", "in_shape": [1, 8, 8],
                  "out_shape": [1], "channels": [2], "strides": [2]}, "test")  # fmt: skip
    assert isinstance(made, nn.Module)


def test_stamped_weights_keep_their_tensors_and_gain_a_design(tmp_path: Path) -> None:
    network = trained(channels_last=True)
    bare: OrderedDict[str, Any] = OrderedDict(
        (name, value.half() if value.numel() > 1000 else value)
        for name, value in network.state_dict().items()
    )
    torch.save(bare, tmp_path / "old.pt")
    stamp_design(network, tmp_path / "old.pt", tmp_path / "new.pt")
    stamped = torch.load(tmp_path / "new.pt", weights_only=True)
    assert list(stamped) == list(bare)
    for name, value in bare.items():
        assert stamped[name].dtype == value.dtype
        assert stamped[name].stride() == value.stride()
        assert stamped[name].numpy().tobytes() == value.numpy().tobytes()
    assert read_design(tmp_path / "new.pt")["windows"] == WINDOWS
    build_network(read_design(tmp_path / "new.pt"), regions=REGIONS, windows=WINDOWS, grid=GRID)


def test_class_that_moved_is_stamped_anew_and_other_options_are_refused(weights: Path) -> None:
    network = read_design(weights)["network"]
    moved = network | {"encoder": network["encoder"] | {"_target_": "petct_ext.old.I3DEncoder"}}
    rewrite(weights, network=moved)
    stamp_design(trained(), weights, weights)
    assert read_design(weights)["network"] == network
    with pytest.raises(InputDataError, match=r"encoder\.batch_norm_eps 0\.001 \(not 1e-05\)"):
        stamp_design(trained(batch_norm_eps=1e-5), weights, weights)
    with pytest.raises(InputDataError, match="says nothing of windows and grid"):
        stamp_design(region_classifier(2, 3, **SMALL), weights, weights)


def test_copied_metadata_carry_the_design(tmp_path: Path) -> None:
    state = trained().state_dict()
    changed: OrderedDict[str, Any] = OrderedDict((k, v.double()) for k, v in state.items())
    copy_metadata(state, changed)
    torch.save(changed, tmp_path / "model.pt")
    assert read_design(tmp_path / "model.pt")["grid"] == GRID


def test_configuration_of_version_0_1_gives_the_design_as_well(tmp_path: Path) -> None:
    """Options of the encoder stood beside those of the network; modules lay elsewhere."""
    old = {
        "imports": ["$from petct_ext.bundle_root import bundle_root"],
        "bundle_root": "$bundle_root('scan_model')",
        "regions": ["liver"],
        **WINDOWS,
        **GRID,
        "network_def": {
            "_target_": "petct_ext.networks.RegionClassifier",
            "in_channels": 2,
            "num_regions": "$len(@regions)",
            "num_heads": 2,
            "width": 1.0,
            "last_stage": "mixed_5c",
            "channels": None,
            "regions": "@regions",
        },
    }
    on_top = {"network_def#width": 0.0625, "network_def#last_stage": "mixed_3b"}
    paths = [tmp_path / "train.json", tmp_path / "demo.json"]
    for path, document in zip(paths, (old, on_top), strict=True):
        path.write_text(json.dumps(document))
    network = region_classifier(2, 1, num_heads=2, width=0.0625, last_stage="mixed_3b")
    torch.save(network.state_dict(), tmp_path / "model.pt")
    stamp_design(configured_network(paths), tmp_path / "model.pt", tmp_path / "new.pt")
    design = read_design(tmp_path / "new.pt")
    assert design["network"]["encoder"]["width"] == 0.0625
    assert (design["windows"], design["regions"]) == (WINDOWS, ["liver"])
    with pytest.raises(InputDataError, match=r"network_def, pet_range_suv.*; give train\.json"):
        configured_network(paths[1:])


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("grid", {"in_plane": "$1 + 1"}),
        ("grid", {"min_slices": None}),
        ("windows", {"pet_range_suv": "wide"}),
        ("windows", {"ct_unit_hu": None}),
    ],
)
def test_design_with_other_than_numbers_counts_as_none(
    part: str, change: dict[str, Any], tmp_path: Path
) -> None:
    network = note_design(region_classifier(2, 1, width=0.0625), windows=WINDOWS, grid=GRID)
    weights: Any = network.state_dict()
    weights._metadata[""]["design"][part] |= change
    torch.save(weights, tmp_path / "model.pt")
    with pytest.raises(InputDataError, match="does not say what network its weights are of"):
        read_design(tmp_path / "model.pt")


def test_state_of_a_training_is_told_from_weights(tmp_path: Path) -> None:
    torch.save({"objects": {"network": trained().state_dict()}}, tmp_path / "training_state.pt")
    with pytest.raises(InputDataError, match=r"state of a training.*; give the model\.pt"):
        read_design(tmp_path / "training_state.pt")
