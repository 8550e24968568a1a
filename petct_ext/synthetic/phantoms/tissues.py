"""CT numbers and FDG uptake of the organs of a digital patient.

CT numbers (HU): Buzug, Computed Tomography, Springer 2008, p. 475, and Prokop & Galanski, Spiral
and Multislice CT of the Body, Thieme 2003: inspired lung -850 to -910 (PET/CT is taken in shallow
breathing: -780), fat -50 to -100, water 0, blood 45-65, liver 45-65, spleen 35-55, kidney 20-40,
white matter 20-30, grey matter 37-45, spongy bone 50-200, compact bone above 250.

Uptake (SUVbw, g/mL): organs that vary from day to day are facts of the exam
(:class:`petct_ext.synthetic.patients.Physiology`). The others are fixed multiples of those or
constants near Wang et al., Mol Imaging Biol 2007;9:83-90 (cerebellum 8.0 +/- 2.2, soft palate 2.9,
palatine tonsils 3.5, testes 2.6 as SUVmean in 98 patients), Liu et al., Iran J Radiol
2019;16(2):e84881 (liver 1.9 +/- 0.4 in 343 patients) and the qualitative account of Shreve et al.,
Radiographics 1999;19:61-77: mild uptake in glands, larynx, oesophagus, bowel, marrow; little in
lung, pancreas, fat. Constants without a published number are our own choice.
"""

from __future__ import annotations

from types import MappingProxyType

from petct_ext.synthetic.patients import Physiology

__all__ = ["HU", "UPTAKE_SIGMA", "organ_suv"]

HU = MappingProxyType(
    {
        "fat": -100.0,
        "muscle": 52.0,
        "testis": 35.0,
        "breast_fat": -100.0,
        "breast": -5.0,
        "axillary_fat": -95.0,
        "groin_fat": -95.0,
        "neck_fat": -85.0,
        "gluteal_fat": -102.0,
        "pleura": 20.0,
        "lung": -780.0,
        "abdominal_cavity": -95.0,
        "pelvic_cavity": -85.0,
        "mediastinum": -70.0,
        "paraspinal_muscle": 50.0,
        "psoas": 54.0,
        "skull": 750.0,
        "face": 60.0,
        "csf": 8.0,
        "brain": 38.0,
        "white_matter": 27.0,
        "basal_ganglia": 40.0,
        "cerebellum": 38.0,
        "spinal_cord": 32.0,
        "eye_muscle": 30.0,
        "eye": 10.0,
        "air": -990.0,
        "nasal_mucosa": 25.0,
        "parotid": 5.0,
        "submandibular": 40.0,
        "mouth": 40.0,
        "tongue": 45.0,
        "soft_palate": 45.0,
        "pharynx": 45.0,
        "tonsil": 48.0,
        "larynx": 70.0,
        "thyroid": 95.0,
        "vessel": 45.0,
        "esophagus": 35.0,
        "tracheal_wall": 20.0,
        "hilum": 35.0,
        "pericardium": -50.0,
        "heart_blood": 44.0,
        "heart_wall": 48.0,
        "aorta": 44.0,
        "liver": 57.0,
        "gallbladder": 10.0,
        "spleen": 48.0,
        "stomach": 40.0,
        "gastric_content": 20.0,
        "pancreas": 38.0,
        "adrenal": 20.0,
        "kidney": 34.0,
        "renal_fat": -90.0,
        "renal_pelvis": 8.0,
        "ureter": 12.0,
        "small_bowel": 30.0,
        "colon": 30.0,
        "colon_content": -60.0,
        "colon_gas": -900.0,
        "rectum": 30.0,
        "bladder_wall": 38.0,
        "bladder": 6.0,
        "prostate": 40.0,
        "urethra": 15.0,
        "uterus": 48.0,
        "ovary": 25.0,
        "pelvic_bone": 330.0,
        "sacrum": 250.0,
        "femur": 850.0,
        "femur_marrow": 150.0,
        "sternum": 220.0,
        "clavicle": 450.0,
        "scapula": 400.0,
        "humerus": 450.0,
        "ribs": 400.0,
        "cervical_spine": 330.0,
        "thoracic_spine": 210.0,
        "lumbar_spine": 190.0,
        "spinal_canal": 25.0,
        "posterior_elements": 350.0,
        "brown_fat": -70.0,
    }
)
"""CT number of each organ in HU."""

UPTAKE_SIGMA = MappingProxyType(
    {
        "small_bowel": 0.30,
        "colon": 0.40,
        "rectum": 0.25,
        "ureter": 0.8,
        "larynx": 0.20,
        "thyroid": 0.15,
        "parotid": 0.15,
        "submandibular": 0.15,
        "mouth": 0.15,
        "testis": 0.20,
        "renal_pelvis": 0.5,
        "uterus": 0.20,
        "ovary": 0.20,
        "breast": 0.20,
        "esophagus": 0.12,
        "tonsil": 0.08,
        "brown_fat": 0.25,
    }
)
"""Standard deviation of the logarithm of the uptake among the parts of an organ in one exam."""


def organ_suv(physiology: Physiology) -> dict[str, float]:
    """Returns the uptake of every organ of :data:`HU` in one exam.

    Args:
        physiology: what varies from exam to exam.

    Returns:
        SUVbw in g/mL, not negative.
    """
    p = physiology
    fat = 0.3
    values = dict.fromkeys(HU, 1.0)
    values |= dict.fromkeys(
        ("fat", "breast_fat", "axillary_fat", "groin_fat", "neck_fat", "gluteal_fat"), fat
    )
    values |= dict.fromkeys(("muscle", "paraspinal_muscle", "psoas"), p.muscle)
    values |= dict.fromkeys(("vessel", "aorta", "heart_blood"), p.blood_pool)
    values |= dict.fromkeys(("air", "colon_gas"), 0.05)
    values |= _head_and_neck(p)
    values |= _chest(p)
    values |= _abdomen_and_pelvis(p)
    values |= _bones(p)
    values["brown_fat"] = max(p.brown_fat, fat)
    return values


def _head_and_neck(p: Physiology) -> dict[str, float]:
    return {
        "skull": 0.9,
        "face": 1.1,
        "csf": 0.4 * p.brain,
        "brain": p.brain,
        "white_matter": 0.45 * p.brain,
        "basal_ganglia": 1.15 * p.brain,
        "cerebellum": 0.9 * p.brain,
        "spinal_cord": 1.8,
        "eye_muscle": 2.2,
        "eye": 0.4,
        "nasal_mucosa": 1.6,
        "parotid": 1.7,
        "submandibular": 1.9,
        "mouth": 1.7,
        "tongue": 1.6,
        "soft_palate": 0.85 * p.tonsils,
        "pharynx": 1.6,
        "tonsil": p.tonsils,
        "larynx": 1.5,
        "thyroid": 1.3,
    }


def _chest(p: Physiology) -> dict[str, float]:
    return {
        "breast": 0.9,
        "pleura": 0.6,
        "lung": 0.45,
        "mediastinum": 0.6 * p.blood_pool,
        "esophagus": 1.5,
        "tracheal_wall": 1.0,
        "hilum": 0.9 * p.blood_pool,
        "pericardium": 0.6,
        "heart_wall": p.myocardium,
    }


def _abdomen_and_pelvis(p: Physiology) -> dict[str, float]:
    return {
        "abdominal_cavity": 0.45,
        "pelvic_cavity": 0.5,
        "renal_fat": 0.6,
        "liver": p.liver,
        "gallbladder": 0.8,
        "spleen": p.spleen,
        "stomach": p.stomach,
        "gastric_content": 0.4 * p.stomach,
        "pancreas": 1.3,
        "adrenal": 1.3,
        "kidney": 0.75 * p.kidneys,
        "renal_pelvis": 0.45 * p.bladder,
        "ureter": 0.12 * p.bladder,
        "small_bowel": 0.65 * p.bowel,
        "colon": 0.8 * p.bowel,
        "colon_content": 0.5 * p.bowel,
        "rectum": 0.7 * p.bowel,
        "bladder_wall": 1.0,
        "bladder": p.bladder,
        "prostate": 1.5,
        "urethra": 0.2 * p.bladder,
        "uterus": 1.7,
        "ovary": 1.4,
        "testis": 2.5,
    }


def _bones(p: Physiology) -> dict[str, float]:
    return {
        "pelvic_bone": 0.75 * p.marrow,
        "sacrum": 0.9 * p.marrow,
        "femur": 0.35 * p.marrow,
        "femur_marrow": 0.5 * p.marrow,
        "sternum": 0.8 * p.marrow,
        "clavicle": 0.5 * p.marrow,
        "scapula": 0.55 * p.marrow,
        "humerus": 0.55 * p.marrow,
        "ribs": 0.55 * p.marrow,
        "cervical_spine": 0.95 * p.marrow,
        "thoracic_spine": p.marrow,
        "lumbar_spine": p.marrow,
        "spinal_canal": 1.3,
        "posterior_elements": 0.6 * p.marrow,
    }
