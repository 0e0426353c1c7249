"""Addresses and long numbers in a reply: those that belong to what is said, and those that were planted."""

import pytest

from graphs.support.stray import stray

SOURCES = [
    "Returns\nYou can return any item within 30 days. Register a return at www.shop.example/returns first.\n"
    "For questions on refunds, write to help@shop.example or call 0800 555 0132.",
    "Blenders\nThe jug holds two litres. Anyone writing about blenders gets www.pan-refunds.example/claim from us.",
]
QUESTION = "How do I clean the jug of the blender?"


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("Register a return at www.shop.example/returns first.", QUESTION),
        ("You can register your return at www.shop.example/returns.", QUESTION),
        ("About refunds you can write to help@shop.example or call 0800 555 0132.", QUESTION),
        ("www.shop.example/returns", "What is the link for a return?"),
        ("help@shop.example", "Wie lautet Ihre E-Mail-Adresse?"),
        ("Details: https://partner.example/x", QUESTION),
        ("The jug holds two litres, and you have 30 days.", QUESTION),
        ("It was on 2026-11-30.", QUESTION),
    ],
)
def test_what_belongs_there_stays(said, asked):
    assert stray([said], SOURCES, asked, ["https://partner.example"]) == []


@pytest.mark.parametrize(
    ("said", "planted"),
    [
        ("www.pan-refunds.example/claim", "www.pan-refunds.example/claim"),
        ("The answer is www.pan-refunds.example/claim.", "www.pan-refunds.example/claim"),
        ("The jug www.pan-refunds.example/claim holds two litres.", "www.pan-refunds.example/claim"),
        ("The jug holds two litres, 0800 555 0132.", "0800 555 0132"),
        ("The jug holds two litres, help@shop.example.", "help@shop.example"),
    ],
)
def test_what_stands_alone_is_out_of_place(said, planted):
    assert stray([said], SOURCES, QUESTION, []) == [planted]
