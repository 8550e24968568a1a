"""Labels loose report files: a report that cannot be read costs only itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from petct_ext.bundle.root import bundle_root
from petct_ext.errors import InputDataError
from petct_ext.labeler.offline_encoder import offline_encoder
from petct_ext.labeler.prediction import ReportPredictor
from petct_ext.labels.aggregation import region_probabilities
from petct_ext.ontology import RegionOntology
from petct_ext.reports.baseline import RuleLabeler
from petct_ext.reports.items import SentenceTagger, report_sentences, tag_report

__all__ = [
    "LabeledFiles",
    "choose_labeler",
    "describe_mentions",
    "label_files",
    "read_report_text",
    "shipped_model",
]


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


def read_report_text(path: str | Path) -> str:
    """Reads a report from a UTF-8 text file.

    Raises:
        InputDataError: if the file is missing, is not UTF-8 text, or is empty.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise InputDataError(f"{path} is no file; give a text file with one report.") from None
    except UnicodeDecodeError as error:
        raise InputDataError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as plain text in UTF-8."
        ) from None
    except OSError as error:
        raise InputDataError(f"{path} cannot be read: {error.strerror or error}.") from None
    if not text.strip():
        raise InputDataError(f"{path} is empty; give a text file with one report.")
    return text


def describe_mentions(
    text: str,
    labels: Mapping[str, float],
    mentions: Iterable[Mapping[str, Any]],
    *,
    around: int = 30,
) -> list[str]:
    """Returns one line per mentioned region: its probability and the words that caused it.

    Args:
        text: the report.
        labels: probability of each region that is mentioned or contains a mentioned one.
        mentions: rows with ``start, end, region, probability``.
        around: characters shown on both sides of a mention.

    Returns:
        Lines in the order of falling probability. A region that is not mentioned itself, but
        contains mentioned ones, has no words of its own.
    """
    causes: dict[str, list[str]] = {}
    for mention in mentions:
        start, end = mention["start"], mention["end"]
        before = " ".join(text[max(0, start - around) : start].split())
        after = " ".join(text[end : end + around].split())
        words = " ".join(text[start:end].split())
        quoted = f"{mention['probability']:.2f} '{before} [{words}] {after}'"
        causes.setdefault(mention["region"], []).append(quoted)
    ordered = sorted(labels, key=lambda name: (-labels[name], name))
    return [
        f"{labels[name]:5.2f}  {name:32s} "
        + ("; ".join(causes.get(name, [])) or "(from its parts)")
        for name in ordered
    ]
