"""Pseudonyms tell nothing without the salt, and the salt is a file that must hold one."""

import pytest

from ctmar.errors import InputError
from ctmar.store.pseudonyms import PUBLIC_SALT, pseudonym, read_salt


def test_pseudonyms_depend_on_identity_kind_and_salt():
    names = {pseudonym(kind, identity, salt) for kind in "pf" for identity in "ab" for salt in (b"s", b"t")}
    assert len(names) == 8
    # frozen: a patient must keep the name over versions, or studies could not be compared
    assert pseudonym("p", "id one", b"equiproj") == "p-e6efb20d"


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
