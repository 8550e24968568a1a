"""Digital patients made of analytic organs, scaled by sex, height and weight.

Positions are RAS+ in mm: x grows towards the patient's right, y towards the front, z towards the
head, so the liver has x > 0 and the spleen x < 0 (DICOM's LPS negates x and y). The origin lies on
the midline at the height of the eyes.

The shapes of the reference adult are data (``anatomy.json``, sizes after ICRP Publication 89); the
spine and the ribs are computed. A shape later in the list is painted over earlier ones.

Entries have the form of those in ``anatomy.json`` and are in reference coordinates.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from petct_ext.arrays import FloatArray
from petct_ext.files import read_json
from petct_ext.synthetic.patients import Exam, Patient
from petct_ext.synthetic.phantoms.shapes import Ellipsoid, Outline, Shape, Tube

__all__ = [
    "Body",
    "Part",
    "build_body",
    "organ_at",
    "reference_anatomy",
    "rib_entries",
    "spine_entries",
]

_REFERENCE_HEIGHT_M = 1.76
_CHIN_Z = 1545.0
_TRUNK_POWER = 0.55  # the tall have long legs: sitting height grows less than standing height
_EYES_Z = 1640.0
_EXAM_ORGANS = frozenset({"bladder", "bladder_wall", "stomach", "gastric_content", "air"})


@dataclass(frozen=True, slots=True)
class Part:
    """One shape of one organ.

    Attributes:
        organ: name of the organ, a key of :data:`petct_ext.synthetic.phantoms.tissues.HU`.
        side: ``"right"``, ``"left"``, or empty if it lies in the middle or is not paired.
        shape: where it is.
    """

    organ: str
    side: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class BodyFrame:
    """How reference coordinates become those of a patient.

    Attributes:
        sex: ``"F"`` or ``"M"``.
        stature: height over that of the reference adult.
        girth: size of the trunk's inside across the body over the reference.
        fat_mm: thickness of the fat under the skin where the table says 1.
        shift_mm: how far the patient lies from the middle of the table, (2,), x and y.
    """

    sex: str
    stature: float
    girth: float
    fat_mm: float
    shift_mm: tuple[float, float]

    def scales(self, z: FloatArray) -> FloatArray:
        """Returns the factors (N, 3) of lengths along x, y and z at heights of the reference."""
        head, girth = self.stature**0.4, np.full(len(z), self.girth)
        depth = girth * (0.95 if self.sex == "F" else 1.0)
        if self.sex == "F":
            girth = girth * np.interp(z, [950, 1100, 1200], [1.02, 0.98, 0.94])
        trunk = np.interp(z, [1470, 1545], [1.0, 0.0])
        length = np.where(z < _CHIN_Z, self.stature**_TRUNK_POWER, head)
        factors = [head + trunk * (girth - head), head + trunk * (depth - head), length]
        return np.stack(factors, axis=1).astype(np.float32)

    def points(self, points: Any) -> FloatArray:
        """Returns reference positions (N, 3) as positions of the patient (N, 3) in mm."""
        points = np.asarray(points, np.float32).reshape(-1, 3)
        moved = points * self.scales(points[:, 2])
        moved[:, 2] = self.heights(points[:, 2])
        moved[:, :2] += np.asarray(self.shift_mm, np.float32)
        return np.asarray(moved, np.float32)

    def heights(self, z: FloatArray) -> FloatArray:
        """Returns heights of the reference as z of the patient in mm."""
        head = self.stature**0.4
        z = np.asarray(z, np.float32)
        lifted = (z - _CHIN_Z) * np.where(z < _CHIN_Z, self.stature**_TRUNK_POWER, head)
        return np.asarray(lifted - head * (_EYES_Z - _CHIN_Z), np.float32)


@dataclass(frozen=True, slots=True)
class Body:
    """One patient as lying in the scanner on one day.

    Attributes:
        frame: scale and position.
        arms_up: whether the arms lie beside the head.
        parts: shapes in the order in which they are painted.
        boxes: lowest and highest corner of a box around each part in mm, (parts, 2, 3).
        top_mm: z of the vertex.
        back_mm: y of the lowest point of the back, where the table begins.
    """

    frame: BodyFrame
    arms_up: bool
    parts: tuple[Part, ...]
    boxes: FloatArray
    top_mm: float
    back_mm: float

    def of(self, organs: Iterable[str], side: str = "") -> list[Part]:
        """Returns the parts of some organs, of one side if given."""
        wanted = set(organs)
        return [p for p in self.parts if p.organ in wanted and side in ("", p.side)]


@cache
def reference_anatomy() -> dict[str, Any]:
    """Returns ``anatomy.json``."""
    document: dict[str, Any] = read_json(str(files(__package__) / "anatomy.json"))
    return document


def build_body(patient: Patient, exam: Exam, *, seed: int) -> Body:
    """Builds the organs of a patient.

    Sizes of organs belong to the patient and are the same in each exam; filling of bladder and
    stomach, position of the arms and on the table belong to the exam.

    Args:
        patient: sex, height and weight are used.
        exam: one of its exams.
        seed: seed of the cohort.

    Returns:
        The body; the same for equal arguments.
    """
    own = np.random.default_rng([seed, patient.number, 10])
    daily = np.random.default_rng([seed, patient.number, 11, exam.number])
    frame = _frame(patient, daily)
    # Arms stay down in exams of head and neck, and where the patient cannot lift them.
    down = 0.7 if "head" in f"{patient.disease} {patient.indication}".lower() else 0.2
    arms_up = bool(daily.random() >= down)
    anatomy = reference_anatomy()
    entries = [
        e
        for e in _expand(anatomy)
        if e.get("sex", patient.sex) == patient.sex
        and e.get("arms", "up" if arms_up else "down") == ("up" if arms_up else "down")
    ]
    if exam.physiology.brown_fat > 0:
        entries += anatomy["brown_fat"]
    skin, flesh = _outlines(anatomy["outline"], frame)
    fat, inner = _parts(entries, frame, own, daily)
    parts = [Part("fat", "", skin), *fat, Part("muscle", "", flesh), *inner]
    back = float((skin.centers_y - skin.half_depths).min())
    boxes = np.array([p.shape.bounds() for p in parts], np.float32)
    return Body(frame, arms_up, tuple(parts), boxes, float(skin.heights[-1]), back)


def organ_at(points: FloatArray, body: Body) -> list[str]:
    """Returns the uppermost organ at positions (N, 3) in mm, ``""`` outside of the body."""
    points = np.asarray(points, np.float32).reshape(-1, 3)
    found = [""] * len(points)
    boxes = body.boxes[:, :, None, :]
    near = np.asarray(np.all((points >= boxes[:, 0]) & (points <= boxes[:, 1]), axis=-1))
    for number in np.flatnonzero(np.any(near, axis=1)):
        part, few = body.parts[number], np.flatnonzero(near[number])
        inside = part.shape.depth(points[few, 0], points[few, 1], points[few, 2]) > 0
        for i in few[inside]:
            found[i] = part.organ
    return found


def _frame(patient: Patient, daily: np.random.Generator) -> BodyFrame:
    stature = patient.height_m / _REFERENCE_HEIGHT_M
    body_mass_index = patient.weight_kg / patient.height_m**2
    girth = float(np.clip(stature**0.5 * (1 + 0.010 * (body_mass_index - 24)), 0.86, 1.25))
    fat = float(np.clip(6 + 1.55 * (body_mass_index - 16), 3, 60))
    shift = tuple(float(v) for v in daily.normal(0.0, 2.5, 2))
    fat *= 1.2 if patient.sex == "F" else 1.0
    return BodyFrame(patient.sex, stature, girth, fat, (shift[0], shift[1]))


@cache
def _bones() -> list[dict[str, Any]]:
    return [*spine_entries(reference_anatomy()["spine"]), *rib_entries()]


def _expand(anatomy: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the entries with spine and ribs put before the first bone of the trunk."""
    shapes: list[dict[str, Any]] = anatomy["shapes"]
    at = next(i for i, e in enumerate(shapes) if e["organ"] == "pelvic_bone")
    return [*shapes[:at], *_bones(), *shapes[at:]]


def _outlines(table: dict[str, Any], frame: BodyFrame) -> tuple[Outline, Outline]:
    """Returns the outline of the skin and that of the flesh below the fat."""
    rows = np.array(sorted(table["rows"]), np.float32)
    scales = frame.scales(rows[:, 0])
    heights = frame.heights(rows[:, 0])
    width, length = rows[:, 1] * scales[:, 0], rows[:, 2] * scales[:, 1]
    middle = rows[:, 3] * scales[:, 1] + np.float32(frame.shift_mm[1])
    fat = rows[:, 4] * np.float32(frame.fat_mm)
    flesh = Outline(heights, width, length, middle, frame.shift_mm[0])
    # A belly hangs forward when supine, so more of the fat lies in front.
    skin = Outline(heights, width + fat, length + 0.9 * fat, middle + 0.2 * fat, frame.shift_mm[0])
    return skin, flesh


def _parts(
    entries: list[dict[str, Any]],
    frame: BodyFrame,
    own: np.random.Generator,
    daily: np.random.Generator,
) -> tuple[list[Part], list[Part]]:
    """Returns the fat around limbs, and everything that is painted after it."""
    fat: list[Part] = []
    inner: list[Part] = []
    sizes: dict[str, tuple[float, FloatArray]] = {}
    for number, entry in enumerate(entries):
        sides = entry.get("sides", "")
        for side in ("right", "left") if sides is True else (sides,):
            mirrored = _mirror(entry) if side == "left" else entry
            group = f"{entry.get('group', number)} {side}"
            if group not in sizes:
                rng = daily if entry["organ"] in _EXAM_ORGANS else own
                size = float(np.exp(entry.get("size_sigma", 0.02) * rng.standard_normal()))
                sizes[group] = (size, _anchor(mirrored))
            shape = _shape(mirrored, frame, *sizes[group])
            inner.append(Part(entry["organ"], side, shape))
            if "fat" in entry:
                fat.append(Part("fat", side, _grown(shape, entry["fat"] * frame.fat_mm)))
    return fat, inner


def _mirror(entry: dict[str, Any]) -> dict[str, Any]:
    mirrored = dict(entry)
    for key in ("center", "axis"):
        if key in entry:
            x, y, z = entry[key]
            mirrored[key] = [-x, y, z]
    if "path" in entry:
        mirrored["path"] = [[-x, y, z] for x, y, z in entry["path"]]
    return mirrored


def _anchor(entry: dict[str, Any]) -> FloatArray:
    points = [entry["center"]] if "center" in entry else entry["path"]
    return np.asarray(np.mean(points, axis=0), np.float32)


def _shape(entry: dict[str, Any], frame: BodyFrame, size: float, anchor: FloatArray) -> Shape:
    if "path" in entry:
        path = anchor + size * (np.asarray(entry["path"], np.float32) - anchor)
        scales = frame.scales(path[:, 2])
        radii = np.broadcast_to(np.asarray(entry["radius"], np.float32), len(path))
        return Tube(frame.points(path), (size * radii * scales.mean(axis=1)).astype(np.float32))
    center = anchor + size * (np.asarray(entry["center"], np.float32) - anchor)
    scale = frame.scales(center[None, 2])[0]
    semi_axes = size * np.asarray(entry["semi_axes"], np.float32)
    rotation = _rotation(entry["axis"]) if "axis" in entry else None
    stretch = scale if rotation is None else np.linalg.norm(rotation * scale, axis=1)
    return Ellipsoid(
        frame.points(center)[0],
        (semi_axes * stretch).astype(np.float32),
        rotation,
        float(entry.get("power", 2.0)),
    )


def _rotation(axis: list[float]) -> FloatArray:
    """Returns three directions: along ``axis``, as near to y as possible, and across both."""
    first = np.asarray(axis, np.float64) / np.linalg.norm(axis)
    second = np.array([0.0, 1.0, 0.0]) - first[1] * first
    second /= np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)]).astype(np.float32)


def _grown(shape: Shape, by_mm: float) -> Shape:
    if isinstance(shape, Tube):
        return Tube(shape.path, shape.radii + np.float32(by_mm))
    if isinstance(shape, Ellipsoid):
        return Ellipsoid(shape.center, shape.semi_axes + np.float32(by_mm), shape.rotation)
    return shape


_DISC = 0.16  # share of a level's height
_RIBS = 12
# Half width and half depth of the rib cage by height in mm.
_CAGE = {"z": (1160, 1220, 1300, 1370, 1420, 1450), "width": (136, 141, 144, 136, 108, 62)}


def spine_entries(table: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns vertebral bodies, canal and posterior elements from the levels of ``table``."""
    entries: list[dict[str, Any]] = []
    for row in table["rows"]:
        level = dict(zip(table["columns"], row, strict=True))
        count = level["levels"]
        height = (level["top_z"] - level["bottom_z"]) / count
        for i in range(count):
            t = (i + 0.5) / count
            y = float(
                np.interp(t, [0, 0.5, 1], [level["top_y"], level["middle_y"], level["bottom_y"]])
            )
            z = level["top_z"] - (i + 0.5) * height
            radius = level["top_radius"] + t * (level["bottom_radius"] - level["top_radius"])
            entries += _vertebra(level["region"], y, z, radius=radius, height=height)
    return entries


def rib_entries() -> list[dict[str, Any]]:
    """Returns the twelve pairs of ribs as tubes that run down and forward from the spine."""
    entries: list[dict[str, Any]] = []
    for i in range(_RIBS):
        back_z = 1460.0 - 25.0 * i
        front_angle = 160.0 if i < 7 else (135.0 if i < 10 else 95.0 - 15.0 * (i - 10))
        drop = 40.0 + 5.0 * min(i, 7)
        path = []
        for angle in np.radians(np.linspace(14.0, front_angle, 9)):
            z = back_z - drop * (1 - np.cos(angle)) / 2 + 6
            width = float(np.interp(z, _CAGE["z"], _CAGE["width"]))
            x, y = width * np.sin(angle), -2.0 - (0.55 * width + 12.0) * np.cos(angle)
            path.append([float(x), float(y), float(z)])
        entries.append({"organ": "ribs", "sides": True, "path": path, "radius": 6.0})
    return entries


def _vertebra(
    region: str, y: float, z: float, *, radius: float, height: float
) -> list[dict[str, Any]]:
    half = height * (1 - _DISC) / 2
    canal = y - radius - 8
    return [
        {
            "organ": region,
            "center": [0, y, z],
            "semi_axes": [1.15 * radius, radius, half],
            "power": 4,
        },
        {
            "organ": "posterior_elements",
            "center": [0, canal - 2, z],
            "semi_axes": [1.2 * radius, 11, 0.8 * half],
        },
        {
            "organ": "posterior_elements",
            "path": [[0, canal - 8, z], [0, canal - 24, z - 8]],
            "radius": 4,
        },
        {"organ": "spinal_canal", "center": [0, canal, z], "semi_axes": [9, 7, height / 2 + 2]},
    ]
