"""UTF-8 that was read as Windows-1252 is turned back; other texts stay as they are."""

import pytest

from mmgenre.inputs import mojibake, overview_text

TEXTS = (
    "don’t – she said “no…” to Zoë, Nuñez and Čapek",
    "café à 100 €, ½ off™ 🎬",
    "Ψυχή 映画 of Москва",
)


def misread(text: str) -> str:
    """As a program does that takes UTF-8 for Windows-1252, and keeps what has no character."""
    return "".join(
        bytes([byte]).decode("cp1252") if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else chr(byte)
        for byte in text.encode()
    )


def test_what_was_misread_is_turned_back_also_twice():
    for text in TEXTS[:2]:
        assert misread(text) != text
        assert mojibake.mended(misread(text)) == text
        assert mojibake.mended(misread(misread(text))) == text


@pytest.mark.parametrize(
    "text",
    [
        *TEXTS,
        "ÉCOLE «DES BEAUX-ARTS É» à Noël",
        "pâté, crème brûlée, Ñandú, Århus, Ærø, Þingvellir, ðað",
        "São João, ÃO, Â, Ã",
    ],
)
def test_what_is_right_stays(text):
    assert mojibake.mended(text) == text


def test_a_quotation_mark_that_lost_its_last_byte_and_bare_controls():
    assert mojibake.mended("â€œno way!â€ he said") == "“no way!” he said"
    assert mojibake.mended("isn\x92t") == "isn’t"


def test_a_text_that_is_made_to_take_many_rounds_is_given_up_soon():
    assert len(mojibake.mended("Ã" + "ƒ" * 100_000)) > 99_000


def test_prediction_reads_what_preparation_keeps():
    assert overview_text.known(misread(TEXTS[0])) == TEXTS[0]
    assert overview_text.known(overview_text.known(misread(TEXTS[1]))) == TEXTS[1]
