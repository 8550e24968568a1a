"""Labels loose report files: a report that cannot be read costs only itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from petct_ext.bundle_root import bundle_root
from petct_ext.data.report_items import SentenceTagger, report_sentences, tag_report
from petct_ext.data.report_texts import read_report_text
from petct_ext.engines.report_predictor import ReportPredictor
from petct_ext.errors import InputDataError
from petct_ext.labels import region_probabilities
from petct_ext.ontology import RegionOntology
from petct_ext.reports.baseline import RuleLabeler
from petct_ext.reports.offline_encoder import offline_encoder

__all__ = ["LabeledFiles", "choose_labeler", "label_files", "shipped_model"]


@dataclass(frozen=True, slots=True)
class LabeledFiles:
    """What was read in loose files.

    Attributes:
        texts: report by file name, unchanged.
        mentions: rows of the table MENTIONS by file name.
        labels: probability in [0, 1] of each region that is named or holds a named one, by file.
        problems: file name and reason of reports that were not labeled.
    """

    texts: dict[str, str]
    mentions: dict[str, list[dict[str, Any]]]
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
    found = LabeledFiles({}, {}, {}, [])
    items: list[dict[str, Any]] = []
    for path in map(str, paths):
        try:
            text = read_report_text(path)
            sentences = report_sentences(text)
            if not sentences:
                raise InputDataError(f"{path}: neither findings nor impression has text.")
            items += tag_report(path, text, tagger, sentences=sentences)
        except InputDataError as error:
            found.problems.append({"exam_id": path, "problem": str(error)})
            continue
        found.texts[path] = text
        found.mentions[path] = []
    for row in labeler.predict(items):
        found.mentions[row["exam_id"]].append(row)
    for path, rows in found.mentions.items():
        spans = [(row["start"], row["end"], row["region"], row["probability"]) for row in rows]
        found.labels[path] = region_probabilities(spans, ontology)
    return found
