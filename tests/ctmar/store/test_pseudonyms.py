"""Pseudonyms tell nothing without the salt, and the salt is a file that must hold one."""

import pytest

from ctmar.errors import InputError
from ctmar.store import pseudonyms
from ctmar.store.pseudonyms import PUBLIC_SALT, Pseudonyms, pseudonym, read_salt


def test_pseudonyms_depend_on_identity_kind_and_salt():
    names = {pseudonym(kind, identity, salt) for kind in "pf" for identity in "ab" for salt in (b"s", b"t")}
    assert len(names) == 8
    # frozen: a patient must keep the name over versions, or studies could not be compared
    assert pseudonym("p", "id one", b"equiproj") == "p-e6efb20d2ec8a5e0"


def test_the_salt_is_what_the_file_holds(tmp_path):
    (tmp_path / "salt").write_bytes(b"\x00\xff random \r\n")
    assert read_salt(tmp_path / "salt") == b"\x00\xff random"
    assert read_salt(None) == PUBLIC_SALT


@pytest.mark.parametrize(("content", "expected"), [(None, "file not found"), (b" \n", "found an empty file")])
def test_a_salt_that_is_missing_ends_in_one_line(tmp_path, content, expected):
    if content is not None:
        (tmp_path / "salt").write_bytes(content)
    with pytest.raises(InputError, match=rf"ingest\.salt_file: .*salt: .*{expected}") as error:
        read_salt(tmp_path / "salt")
    assert "\n" not in str(error.value)


def test_a_name_that_is_no_text_has_a_pseudonym_of_its_own():
    """Bytes of Latin-1 in a file's name, half a surrogate pair in a damaged header."""
    found = {pseudonym("f", name, b"s") for name in ("M\udcfcller.txt", "M\udce4ller.txt", "Müller.txt", "\ud800")}
    assert len(found) == 4


def test_pseudonyms_have_64_bits():
    assert {len(pseudonym(kind, "one", b"s")) for kind in "psf"} == {2 + 64 // 4}


def test_two_patients_of_one_pseudonym_are_an_error(monkeypatch):
    monkeypatch.setitem(pseudonyms.DIGITS, "p", 1)
    names = Pseudonyms(b"s")
    with pytest.raises(InputError, match=r"two identities share the pseudonym 'p-.'; write another salt into ingest"):
        _ = [names.give("p", f"id {number}") for number in range(17)]
    assert names.give("p", "id 0") == names.give("p", "id 0")
