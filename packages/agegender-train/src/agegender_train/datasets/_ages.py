"""Ages as label files have them, those too that a spreadsheet has changed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, TypeAlias

from agegender_train.store.labels import MAX_AGE, parse_age_group

if TYPE_CHECKING:
    from agegender_train.datasets._label_files import Table
    from agegender_train.datasets.archives import FileTree

Group: TypeAlias = tuple[float, float]

# A spreadsheet takes 3-9 for a day and writes 03-Sep or 9-Mar, and 10-19 for a month: Oct-19. In English, German,
# Dutch, French, Italian, Spanish and Portuguese.
_MONTHS = {
    word: number
    for number, words in enumerate(
        (
            "jan ene gen", "feb fev", "mar mrz mrt", "apr abr avr", "may mai mag mei", "jun giu juin", "jul lug juil",
            "aug ago aou", "sep set", "oct okt ott out", "nov", "dec dez dic",
        ),
        1,
    )
    for word in words.split()
}  # fmt: skip
_DAY_MONTH = re.compile(r"(?P<day>\d{1,2})[-./ ]+(?P<month>[^\W\d_]{3,9})\.?")
_MONTH_YEAR = re.compile(r"(?P<month>[^\W\d_]{3,9})\.?[-./ ]+(?:20|19)?(?P<year>\d{2})")
_MIDNIGHT = r"(?:[ T]00:00(?::00)?)?"
_ISO_DATE = re.compile(rf"\d{{2}}(?P<year>\d\d)-(?P<month>\d\d)-(?P<day>\d\d){_MIDNIGHT}")
_DATE = re.compile(rf"(?P<day>\d{{1,2}})[-./](?P<month>\d{{1,2}})[-./](?:20|19)?(?P<year>\d\d){_MIDNIGHT}")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
_TWO_NUMBERS = re.compile(r"(\d+),(\d+)")


class Ages:
    """Reads the ages of a label file, and notes in its `FileTree` what wasn't read as it stands.

    Args:
        files: where the file is.
        table: the file.
        groups: the age groups that the dataset has, if they are known: a date that means one of them, and no other, is
            read as that group.
    """

    def __init__(self, files: FileTree, table: Table, groups: Collection[Group] = ()) -> None:
        self._files, self._table, self._groups = files, table, groups

    def read(self, text: str) -> Group | None:
        """As `parse_age_group`; and what a spreadsheet has made of an age or a group.

        Raises:
            ValueError: it is no age.
        """
        try:
            return parse_age_group(text)
        except ValueError:
            pointed = with_decimal_point(text, self._table.has_decimal_commas)
            if pointed is not None:
                found = parse_age_group(pointed)
                self._files.note(f"{self._table.name}: ages with a decimal comma, as in 24,5, were read as 24.5")
                return found
            group = self._group_of_date(text)
            if group is None:
                raise
            low, high = group
            self._files.note(
                f'{self._table.name}: "{text}", a date made by a spreadsheet, was read as {low:g}-{high:g}'
            )
            return group

    def _group_of_date(self, text: str) -> Group | None:
        pairs = {
            (float(min(pair)), float(max(pair))) for pair in _pairs(text, bool(self._groups)) if pair[0] != pair[1]
        }
        if self._groups:
            pairs &= set(self._groups)
        return pairs.pop() if len(pairs) == 1 else None


def _pairs(text: str, with_years: bool) -> Iterator[tuple[int, int]]:
    """The two numbers from which a spreadsheet may have made a date, in all ways that it may have done so.

    Args:
        text: the date.
        with_years: look at whole dates, too, which real dates are as well.
    """
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    plain = plain.strip().casefold()
    if match := _DAY_MONTH.fullmatch(plain):
        if month := _month(match["month"]):
            yield int(match["day"]), month
    elif match := _MONTH_YEAR.fullmatch(plain):
        if month := _month(match["month"]):
            yield month, int(match["year"])
    elif with_years and (match := _ISO_DATE.fullmatch(plain) or _DATE.fullmatch(plain)):
        day, month, year = (int(match[name]) for name in ("day", "month", "year"))
        yield day, month
        for first, other in ((day, month), (month, day)):
            if first == 1:  # the first of a month stands for a month and its year
                yield other, year


def _month(word: str) -> int | None:
    return _MONTHS.get(word) or _MONTHS.get(word[:4]) or _MONTHS.get(word[:3])


def with_decimal_point(text: str, is_decimal: bool) -> str | None:
    """A number, or a range of numbers, with points for its decimal commas; ``None`` where it has no such commas.

    Args:
        text: the number.
        is_decimal: whether a comma is a decimal sign. Otherwise it is one only where it can't stand between two ages:
            24,5 is no group, 3,5 may be one.
    """
    if not _DECIMAL_COMMA.search(text) or any(bracket in text for bracket in "()[]"):
        return None
    if not is_decimal and (match := _TWO_NUMBERS.fullmatch(text)):
        low, high = int(match[1]), int(match[2])
        if low <= high <= MAX_AGE:
            return None
    return _DECIMAL_COMMA.sub(".", text)
