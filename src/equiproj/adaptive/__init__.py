"""The penalty's weight and norm chosen by the data: score test, evidence, and a norm weighted by what goes in."""

from equiproj.adaptive.group_discovery import rank_groups_by_distance, rank_groups_by_score
from equiproj.adaptive.group_ranking import GroupRanking, GroupRow
from equiproj.adaptive.input_covariance import input_covariances
from equiproj.adaptive.input_weighted import InputWeightedPenalty
from equiproj.adaptive.score_rows import ScoreRow, ScoreTest
from equiproj.adaptive.score_test import score_test
from equiproj.adaptive.stein import NormChoice, SteinRisk, choose_norm, stein_risks

__all__ = [
    "GroupRanking",
    "GroupRow",
    "InputWeightedPenalty",
    "NormChoice",
    "ScoreRow",
    "ScoreTest",
    "SteinRisk",
    "choose_norm",
    "input_covariances",
    "rank_groups_by_distance",
    "rank_groups_by_score",
    "score_test",
    "stein_risks",
]
