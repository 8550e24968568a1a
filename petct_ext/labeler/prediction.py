"""Labels report items, or loose report files, with a trained model and without a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from petct_ext.bundle.root import bundle_root
from petct_ext.errors import InputDataError
from petct_ext.keys import MENTION_PLACES, MENTION_RULE, MENTION_TOKENS, TOKEN_IDS
from petct_ext.labeler.batches import CollateWindows
from petct_ext.labeler.network import ReportClassifier
from petct_ext.labeler.offline_encoder import offline_encoder
from petct_ext.labeler.tokens import (
    TokenizeReportd,
    blend_with_rules,
    mention_probabilities,
)
from petct_ext.labeler.vocabulary import load_tokenizer
from petct_ext.labels.aggregation import region_probabilities
from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import SentenceTagger
from petct_ext.reports.reading import read_report
from petct_ext.reports.repeats import in_order, join_repeats, rows_of_mentions
from petct_ext.reports.rules import RuleLabeler
from petct_ext.reports.texts import read_report_text
from petct_ext.scan.networks.pretrained import check_weights

__all__ = [
    "LabeledFiles",
    "ReportPredictor",
    "choose_labeler",
    "label_files",
    "shipped_model",
]


class ReportPredictor:
    """A trained report labeler, ready to use on a few texts.

    For a cohort use the bundle (``python -m monai.bundle run --config_file
    bundles/report_labeler/configs/inference.json``); the probabilities are the same.

    Args:
        folder: holds ``model.pt`` and ``encoder/``, as the bundle's training writes them.
        max_length: most tokens of a window.

    Raises:
        InputDataError: if the model is missing, or its weights do not fit its encoder.
    """

    def __init__(self, folder: str | Path, *, max_length: int = 256) -> None:
        folder = Path(folder)
        weights = folder / "model.pt"
        if not weights.is_file():
            raise InputDataError(
                f"{weights} does not exist; train the report labeler (README), or use --labeler "
                "rules."
            )
        tokenizer = load_tokenizer(folder / "encoder")
        self.tokenize = TokenizeReportd(tokenizer, max_length=max_length)
        self.network = ReportClassifier(folder / "encoder", pretrained=False)
        self.network.load_state_dict(check_weights(self.network, weights))
        self.network.merge_adapters()
        self.network.eval()

    @torch.inference_mode()
    def predict(
        self, items: Sequence[dict[str, Any]], *, batch_size: int = 32
    ) -> list[dict[str, Any]]:
        """Returns one row of the table MENTIONS per mention, sorted by exam and place.

        Args:
            items: see :func:`petct_ext.reports.items.tag_report`.
            batch_size: sentences at a time.
        """
        rows: list[dict[str, Any]] = []
        # Copies cost nothing, and sentences of similar length need little padding.
        ordered = sorted(join_repeats(items), key=lambda item: len(item["text"]))
        collate = CollateWindows(self.network.pad_id)
        for begin in range(0, len(ordered), batch_size):
            batch = collate([self.tokenize(x) for x in ordered[begin : begin + batch_size]])
            logits = self.network(batch[TOKEN_IDS])
            probabilities = mention_probabilities(logits, batch[MENTION_TOKENS])
            rules = batch[MENTION_RULE].flatten()
            blended = blend_with_rules(probabilities, rules, self.network.blend).tolist()
            rows.extend(rows_of_mentions(batch[MENTION_PLACES], blended))
        return in_order(rows)


@dataclass(frozen=True, slots=True)
class LabeledFiles:
    """What was read in loose files.

    Attributes:
        texts: report by file name, unchanged.
        mentions: rows of the table MENTIONS by file name.
        contexts: by file name, and start and end of a mention, the sentences beside its own that
            were read with it.
        labels: probability in [0, 1] of each region that is named or holds a named one, by file.
        problems: file name and reason of reports that were not labeled.
    """

    texts: dict[str, str]
    mentions: dict[str, list[dict[str, Any]]]
    contexts: dict[str, dict[tuple[int, int], str]]
    labels: dict[str, dict[str, float]]
    problems: list[dict[str, str]]


def shipped_model() -> Path | None:
    """Returns the folder of the model that ships with the bundle.

    None if it is not there, or the encoder below it is not installed (extra ``encoder``).
    """
    try:
        folder = Path(bundle_root("report_labeler")) / "models"
    except InputDataError:
        return None
    return folder if (folder / "model.pt").is_file() and offline_encoder() else None


def choose_labeler(
    labeler: Literal["model", "rules"] | None, model_dir: Path | None
) -> tuple[ReportPredictor | RuleLabeler, str]:
    """Returns a labeler and words that say which one it is.

    Args:
        labeler: None: the model if there is one, else the rules.
        model_dir: folder with ``model.pt``; None: the shipped one.

    Raises:
        InputDataError: if the model is asked for and cannot be had.
    """
    if labeler == "rules":
        return RuleLabeler(), "labeled by rules, without a model"
    folder = model_dir or shipped_model()
    if folder is not None:
        return ReportPredictor(folder), f"labeled by the model in {folder}"
    if labeler == "model":
        raise InputDataError(
            "the shipped model or its encoder is not there; run pip install 'petct_ext[encoder]', "
            "or give --model-dir FOLDER (with model.pt) or --labeler rules."
        )
    return RuleLabeler(), (
        "labeled by rules: the encoder of the shipped model is not installed "
        "(pip install 'petct_ext[encoder]')"
    )


def label_files(
    paths: Iterable[str | Path], labeler: ReportPredictor | RuleLabeler, ontology: RegionOntology
) -> LabeledFiles:
    """Labels text files, a report each.

    A file that is missing, empty, not UTF-8 text or without findings is a problem; the
    others are labeled.

    Args:
        paths: the files.
        labeler: see :func:`choose_labeler`.
        ontology: regions.
    """
    tagger = SentenceTagger(ontology)
    found = LabeledFiles({}, {}, {}, {}, [])
    items: list[dict[str, Any]] = []
    for path in map(str, paths):
        try:
            text = read_report_text(path)
            of_text, status = read_report(path, text, tagger)
            if status.message:
                raise InputDataError(f"{path}: {status.message}.")
            items += of_text
        except InputDataError as error:
            found.problems.append({"exam_id": path, "problem": str(error)})
            continue
        found.texts[path] = text
        found.mentions[path] = []
        found.contexts[path] = _contexts(of_text)
    for row in labeler.predict(items):
        found.mentions[row["exam_id"]].append(row)
    for path, rows in found.mentions.items():
        spans = [(row["start"], row["end"], row["region"], row["probability"]) for row in rows]
        found.labels[path] = region_probabilities(spans, ontology)
    return found


def _contexts(items: Iterable[dict[str, Any]]) -> dict[tuple[int, int], str]:
    beside: dict[tuple[int, int], str] = {}
    for item in items:
        first, last = item["own"]
        parts = (item["text"][:first].strip(), item["text"][last:].strip())
        words = " ... ".join(part for part in parts if part)
        beside |= {(m["start"], m["end"]): words for m in item["mentions"] if words}
    return beside
