import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from vectorstore.index import SparseVector
from vectorstore.sparse import SparseEncoder
from vectorstore.stopwords import STOP_WORDS
from vectorstore.words import document_terms, query_terms

KEY = b"the index key of a tenant"
ENCODER = SparseEncoder(KEY)


def overlap(query: str, document: str) -> int:
    return len(set(ENCODER.encode_query(query).indices) & set(ENCODER.encode_document(document).indices))


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("How do I return my shoes?", "Returning a shoe is free within thirty days of the delivery."),
        ("Wann wird meine Bestellung geliefert?", "Die Lieferung von Bestellungen dauert meistens drei Tage."),
        ("¿Puedo devolver los zapatos?", "La devolución de un zapato es gratuita durante treinta días."),
        ("Как вернуть заказанные товары?", "Возврат товара и отмена заказа возможны в течение месяца."),
        ("Où sont mes commandes ?", "Chaque commande est livrée sous trois jours ouvrables en France."),
        ("返品できますか", "商品の返品は三十日以内に可能です。"),
        ("退货政策", "本店的退货期限为三十天。"),
        ("คืนสินค้า", "ลูกค้าสามารถคืนสินค้าได้ภายในสามสิบวัน"),
        ("환불 받기", "환불은 삼십일 이내에 가능합니다"),
        ("ग्राहक सेवा", "हमारी ग्राहक सेवा सोमवार को खुली है।"),
        ("İade koşulları", "Müşterilerimizin ücretsiz iade hakkı vardır."),
    ],
)
def test_inflected_words_meet(query: str, document: str) -> None:
    assert overlap(query, document) > 0


@pytest.mark.parametrize("query", ["returns", "shipping costs", "refunds?", "Bestellungen", "devoluciones", "заказы"])
def test_a_word_or_two_are_stemmed_though_their_language_is_unsure(query: str) -> None:
    document = {
        "returns": "You can return what you bought within a month.",
        "shipping costs": "We ship to all countries, and the cost depends on the weight.",
        "refunds?": "The refund is paid to the card that you used.",
        "Bestellungen": "Ihre Bestellung wird noch am selben Tag verschickt.",
        "devoluciones": "La devolución del producto no cuesta nada en nuestra tienda.",
        "заказы": "Ваш заказ будет отправлен в течение двух рабочих дней.",
    }[query]

    assert overlap(query, document) > 0


def test_given_languages_replace_detection() -> None:
    assert set(query_terms("Orders", ["en"])) == {"order"}
    assert set(query_terms("die Bestellungen", ["de", "en"])) == {"bestell", "bestellungen"}


def test_stop_words_are_left_out() -> None:
    assert list(document_terms("Where is the parcel that I have ordered?")) == ["parcel", "order"]
    assert list(document_terms("Wo ist das Formular, das ich bestellt habe?")) == ["formular", "bestellt"]
    assert ENCODER.encode_query("Who are you and what is this?") == SparseVector((), ())


def test_stop_words_are_written_as_text_is_folded() -> None:
    assert all(word == word.casefold() and word.isalpha() for words in STOP_WORDS.values() for word in words)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("Order ORD-2024-1234 is late", "ord-2024-1234"),
        ("Write to Anna.K@example.com please", "anna.k@example.com"),
        ("The fee is 1,000.50 EUR", "1,000.50"),
        ("Open 24/7 for you", "24/7"),
        ("Model WH-1000XM5 is sold out", "wh-1000xm5"),
        ("Room 4711 is closed", "4711"),
    ],
)
def test_codes_stay_whole(text: str, whole: str) -> None:
    assert whole in document_terms(text)


def test_parts_of_a_code_are_found_too() -> None:
    assert overlap("order 2024-1234", "Order ORD-2024-1234 was sent") >= 3


def test_writing_does_not_matter() -> None:
    plain = ENCODER.encode_document("We are fine with the delivery of every parcel to your house")

    assert ENCODER.encode_document("We are ﬁne with the DELIVERY of every par\u00adcel to your House") == plain
    assert ENCODER.encode_document("We are fine\x00with the delivery of every \ud800parcel to your house") == plain


def test_weights_are_those_of_bm25() -> None:
    encoder = SparseEncoder(KEY, average_terms=2)

    vector = encoder.encode_document("parcel parcel delivery")

    long_text = 1.2 * (1 - 0.75 + 0.75 * 3 / 2)
    assert sorted(vector.values) == pytest.approx([2.2 / (1 + long_text), 2 * 2.2 / (2 + long_text)])


def test_what_a_query_says_again_weighs_more() -> None:
    assert ENCODER.encode_query("parcel delivery", ["en"]).values == (1.0, 1.0)
    assert sorted(ENCODER.encode_query("parcel parcel delivery", ["en"]).values) == [1.0, 1.8]


def test_a_stem_of_several_languages_is_counted_once_a_word() -> None:
    assert query_terms("parcel parcels", ["en", "de", "es"])["parcel"] == 2


def test_ids_are_ascending_and_of_32_bits() -> None:
    indices = ENCODER.encode_document(" ".join(f"word{i}" for i in range(500))).indices

    assert list(indices) == sorted(set(indices))
    assert len(indices) == 500
    assert 0 <= indices[0] <= indices[-1] < 2**32
    assert indices[-1] > 2**31


def test_each_tenant_has_ids_of_its_own() -> None:
    text = "refund of a returned parcel"
    other = SparseEncoder(b"the index key of another tenant")

    assert not set(ENCODER.encode_document(text).indices) & set(other.encode_document(text).indices)
    assert SparseEncoder(KEY).encode_document(text) == ENCODER.encode_document(text)


def test_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        SparseEncoder(b"short")


@pytest.mark.parametrize("text", ["", " \n", "!?…", "\x00", "\ud800"])
def test_text_without_words_is_empty(text: str) -> None:
    assert ENCODER.encode_document(text) == ENCODER.encode_query(text) == SparseVector((), ())


def test_threads_do_not_disturb_each_other() -> None:
    texts = [f"returning {i} shoes, ordering parcels and shipping refunds number {i}" for i in range(200)]
    alone = [ENCODER.encode_document(text) for text in texts]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ENCODER.encode_document, texts)) == alone


def test_nothing_is_logged_or_printed(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.DEBUG):
        ENCODER.encode_document("a long letter about a refund " * 100)
        ENCODER.encode_query("secret question")

    assert not caplog.records
    assert capfd.readouterr() == ("", "")
