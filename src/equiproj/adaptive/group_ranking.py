"""Candidate groups in a table, from the most to the least symmetric, and the largest of those that are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from equiproj.groups import Group, given_group, is_subgroup


@dataclass(frozen=True)
class GroupRow:
    """One candidate.

    Args:
        group: the candidate.
        measure: what was measured.
        null: its mean under the null hypothesis.
        p_value: of the null hypothesis.
        is_kept: whether the group is a symmetry as far as this measure can tell.
        verdict: the same in words, with the reason.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> GroupRow(CyclicGroup(2), measure=3.0, null=2.0, p_value=0.2, is_kept=True, verdict="not rejected").ratio
        1.5
    """

    group: Group
    measure: float
    null: float
    p_value: float
    is_kept: bool
    verdict: str

    @property
    def ratio(self) -> float:
        """Measured over expected."""
        return 0.0 if self.null == 0 else self.measure / self.null


@dataclass(frozen=True)
class GroupRanking:
    """Candidates from the most to the least symmetric.

    Args:
        measure: what the numbers are.
        rows: a row for each candidate.

    Examples:
        >>> from equiproj.adaptive import GroupRanking, GroupRow
        >>> from equiproj.groups import CyclicGroup
        >>> print(GroupRanking("distance", (GroupRow(CyclicGroup(4), 0.1, 0.8, 1e-4, True, "close"),)))
        group                     distance      null     ratio         p  verdict
        CyclicGroup(4)                 0.1       0.8     0.125    0.0001  close
        largest: CyclicGroup(4)
    """

    measure: str
    rows: tuple[GroupRow, ...]

    @property
    def largest(self) -> tuple[Group, ...]:
        """The groups that are kept and in no other one that is; several where none contains all, none where none is."""
        kept = [row.group for row in self.rows if row.is_kept]
        return tuple(g for g in kept if not any(is_subgroup(g, h) and not is_subgroup(h, g) for h in kept))

    def __str__(self) -> str:
        lines = [f"{'group':22}  {self.measure:>10}  {'null':>8}  {'ratio':>8}  {'p':>8}  verdict"]
        for row in self.rows:
            numbers = f"{row.measure:10.3g}  {row.null:8.3g}  {row.ratio:8.3g}  {row.p_value:8.2g}"
            lines.append(f"{row.group!s:22}  {numbers}  {row.verdict}")
        return "\n".join([*lines, f"largest: {', '.join(map(str, self.largest)) or 'none of these'}"])


def candidate_groups(groups: Sequence[Group | str]) -> list[Group]:
    """Groups, or what their names mean.

    Raises:
        ValueError: there are none.

    Examples:
        >>> candidate_groups(["C4"])
        [CyclicGroup(4)]
    """
    found = [given_group(group) for group in groups]
    if not found:
        raise ValueError("expected at least one candidate group, found none")
    return found


def ranked(
    measure: str,
    candidates: Sequence[Group],
    found: Sequence[tuple[float, float, float]],
    kept: Sequence[bool],
    words: tuple[str, str, str],
) -> GroupRanking:
    """The table; a symmetry under a group is one under all that it contains.

    Args:
        measure: what was measured.
        candidates: the groups.
        found: of each the measure, its mean under the null hypothesis, and a p-value.
        kept: whether its own numbers keep it.
        words: the verdicts of a group that is kept, that is not, and that contains one that is not.

    Examples:
        >>> from equiproj.groups import CyclicGroup
        >>> ranked("score", [CyclicGroup(2)], [(3.0, 2.0, 0.2)], [True], ("kept", "not", "with")).rows[0].verdict
        'kept'
    """
    rows = []
    for group, numbers, is_kept in zip(candidates, found, kept, strict=True):
        missing = [h for h, other in zip(candidates, kept, strict=True) if not other and is_subgroup(h, group)]
        verdict = words[0] if is_kept and not missing else words[1] if not is_kept else f"{words[2]} {missing[0]}"
        rows.append(GroupRow(group, *numbers, is_kept and not missing, verdict))
    return GroupRanking(measure, tuple(sorted(rows, key=lambda row: row.ratio)))
