"""What was copied wrongly is named by its field, and its value shown nowhere."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.auth.credentials import refuse_flawed
from copernicus_dataspace.auth.identity_service import Account
from copernicus_dataspace.download.s3_signing import S3Keys
from copernicus_dataspace.errors import ConfigurationError

FIELDS = {
    "login": lambda value: Account(value, "pw"),
    "password": lambda value: Account("a@example.org", value),
    "client_id": lambda value: Account("a@example.org", "pw", client_id=value),
    "totp_secret": lambda value: Account("a@example.org", "pw", totp_secret=value),
    "s3_access_key": lambda value: S3Keys(value, "secret"),
    "s3_secret_key": lambda value: S3Keys("key", value),
}
EVERY = pytest.mark.parametrize("field", FIELDS)


@EVERY
@pytest.mark.parametrize(
    "value",
    ["QQQ777\n", "QQQ777\r\n", "\nQQQ777", "QQQ\n777", "QQQ\t777", "QQQ\x00777", "QQQ777\u2028"],
    ids=ascii,
)
def test_no_field_holds_a_line_break(field, value):
    with pytest.raises(ConfigurationError, match=f"^{field} contains a line break") as caught:
        FIELDS[field](value)
    assert "777" not in str(caught.value)


@EVERY
@pytest.mark.parametrize("edge", ["\u00a0", "\ufeff", "\u200b"], ids=ascii)
def test_no_field_begins_or_ends_with_what_is_not_seen(field, edge):
    for value in (f"{edge}QQQ777", f"QQQ777{edge}"):
        with pytest.raises(ConfigurationError, match=f"^{field} begins or ends"):
            FIELDS[field](value)


@pytest.mark.parametrize("field", sorted(set(FIELDS) - {"totp_secret"}))
def test_no_field_begins_or_ends_with_a_blank(field):
    with pytest.raises(ConfigurationError, match=f"^{field} begins or ends"):
        FIELDS[field]("QQQ777 ")


@pytest.mark.parametrize("field", sorted(set(FIELDS) - {"login", "password"}))
@pytest.mark.parametrize("letter", ["\N{CYRILLIC CAPITAL LETTER A}", "\uff21", "é"], ids=ascii)
def test_a_look_alike_is_found_where_all_is_ascii(field, letter):
    with pytest.raises(
        ConfigurationError, match=f"^{field} contains a letter that looks like ASCII but is not"
    ):
        FIELDS[field](f"QQ{letter}Q")


@pytest.mark.parametrize(
    "password", ["ein Wort", "Straße", "пароль", "a  b", "\N{KEY}x", "%@:/#?&+"]
)
def test_a_password_may_hold_any_letter_and_blanks_inside(password):
    assert Account("jürgen@müller.example", password).password == password


def test_a_second_factor_may_be_written_in_groups():
    Account("a@example.org", "pw", totp_secret="JBSW Y3DP EHPK 3PXP ")


@given(st.text(), st.booleans())
def test_a_value_is_taken_as_it_is_or_refused_without_being_told(value, is_ascii):
    try:
        refuse_flawed("field", value, is_ascii=is_ascii)
    except ConfigurationError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert refusal in {"", *map(MESSAGE.format, FLAWS)}
    if not refusal:
        value.encode()
        assert value == value.strip()
        assert not [one for one in value if unicodedata.category(one) == "Cc"]
        assert value.isascii() or not is_ascii


MESSAGE = "field {}; copy it again, without anything before or after it."
FLAWS = (
    "contains a line break or another invisible character",
    "begins or ends with a blank or another invisible character",
    "contains a letter that looks like ASCII but is not",
)
