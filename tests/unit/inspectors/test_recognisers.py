"""What each recogniser must find, and what only looks like it.

A finding counts from 0.5 on: what a policy pack masks unless it says otherwise.
"""

from __future__ import annotations

import pytest

from gateway.inspectors.pii import scan
from gateway.inspectors.recognisers import LABELS

COUNTS = 0.5

POSITIVES: dict[str, list[tuple[str, str]]] = {
    "EMAIL_ADDRESS": [
        ("write to bob@example.com.", "bob@example.com"),
        ("<alice.smith+news@mail.example.co.uk>", "alice.smith+news@mail.example.co.uk"),
        ("mailto:jean-luc@exemple.fr?subject=x", "jean-luc@exemple.fr"),
        ('{"email":"a_b@x.io"}', "a_b@x.io"),
        ("josé@correo.es escribió", "josé@correo.es"),
        ("用户@例子.公司", "用户@例子.公司"),
        ("BOB@EXAMPLE.COM", "BOB@EXAMPLE.COM"),
        ("a@b.museum,c", "a@b.museum"),
        ("x1@y2.xn--p1ai!", "x1@y2.xn--p1ai"),
        ("o'neil@example.org", "o'neil@example.org"),
        ("bob＠example．com", "bob＠example．com"),
        ("bo\u200bb@exam\u200dple.com", "bo\u200bb@exam\u200dple.com"),
        ("bob (at) example (dot) com", "bob (at) example (dot) com"),
        ("bob [at] example.com", "bob [at] example.com"),
        ("邮箱是bob@example.com。", "邮箱是bob@example.com"),
    ],
    "PHONE_NUMBER": [
        ("+33 6 12 34 56 78", "+33 6 12 34 56 78"),
        ("+33 (0)6 12 34 56 78", "+33 (0)6 12 34 56 78"),
        ("0033 6 12 34 56 78", "0033 6 12 34 56 78"),
        ("06 12 34 56 78", "06 12 34 56 78"),
        ("01.42.68.53.00", "01.42.68.53.00"),
        ("mon portable 0612345678", "0612345678"),
        ("+1 (415) 555-2671", "+1 (415) 555-2671"),
        ("(415) 555-2671", "(415) 555-2671"),
        ("+1 555 123 4567", "+1 555 123 4567"),
        ("415-555-2671", "415-555-2671"),
        ("1-800-356-9377", "1-800-356-9377"),
        ("call me at 4155552671", "4155552671"),
        ("+44 20 7946 0958", "+44 20 7946 0958"),
        ("020 7946 0958", "020 7946 0958"),
        ("07911 123456", "07911 123456"),
        ("+49 30 901820", "+49 30 901820"),
        ("Telefon: 030 901820", "030 901820"),
        ("0151 23456789", "0151 23456789"),
        ("+34 612 345 678", "+34 612 345 678"),
        ("mi móvil es 612 345 678", "612 345 678"),
        ("+39 06 698 12345", "+39 06 698 12345"),
        ("+4915123456789", "+4915123456789"),
        ("+81 3-1234-5678", "+81 3-1234-5678"),
        ("+55 11 91234-5678", "+55 11 91234-5678"),
        ("+91 98765 43210", "+91 98765 43210"),
        ("06\u00a012\u00a034\u00a056\u00a078", "06\u00a012\u00a034\u00a056\u00a078"),
        ("tél 06 12 34 56 78 06 98 76 54 32", "06 98 76 54 32"),
        ("06 12 34 56 78 2024", "06 12 34 56 78"),
    ],
    "IBAN_CODE": [
        ("GB82 WEST 1234 5698 7654 32", "GB82 WEST 1234 5698 7654 32"),
        ("DE89370400440532013000", "DE89370400440532013000"),
        ("de89370400440532013000", "de89370400440532013000"),
        ("FR14 2004 1010 0505 0001 3M02 606 BIC", "FR14 2004 1010 0505 0001 3M02 606"),
        ("ES91-2100-0418-4502-0005-1332", "ES91-2100-0418-4502-0005-1332"),
        ("IT60X0542811101000000123456.", "IT60X0542811101000000123456"),
        ("NL91ABNA0417164300,", "NL91ABNA0417164300"),
        ("BE68 5390 0754 7034", "BE68 5390 0754 7034"),
        ("CH93 0076 2011 6238 5295 7", "CH93 0076 2011 6238 5295 7"),
        ("AT611904300234573201", "AT611904300234573201"),
        ("PL61109010140000071219812874", "PL61109010140000071219812874"),
        ("NO9386011117947", "NO9386011117947"),
        ("SE4550000000058398257466", "SE4550000000058398257466"),
        ("AB12 CD34 DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 00"),
    ],
    "CREDIT_CARD": [
        ("4111 1111 1111 1111", "4111 1111 1111 1111"),
        ("4111-1111-1111-1111", "4111-1111-1111-1111"),
        ("4111111111111111,123", "4111111111111111"),
        ("5555555555554444", "5555555555554444"),
        ("378282246310005", "378282246310005"),
        ("3782 822463 10005", "3782 822463 10005"),
        ("6011111111111117", "6011111111111117"),
        ("3530111333300000", "3530111333300000"),
        ("3056 9309 0259 04", "3056 9309 0259 04"),
        ("2223003122003222", "2223003122003222"),
        ("6200000000000005", "6200000000000005"),
        ("order 1234 4242 4242 4242 4242", "4242 4242 4242 4242"),
        ("４１１１ １１１１ １１１１ １１１１", "４１１１ １１１１ １１１１ １１１１"),
        ("4111\u00a01111\u00a01111\u00a01111", "4111\u00a01111\u00a01111\u00a01111"),
        ("卡号4111111111111111。", "4111111111111111"),
        ("4012888888881881;5105105105105100", "5105105105105100"),
    ],
    "IP_ADDRESS": [
        ("192.168.10.12", "192.168.10.12"),
        ("from 8.8.8.8:53", "8.8.8.8"),
        ("http://10.0.0.5/admin", "10.0.0.5"),
        ("203.0.113.7, 203.0.113.8", "203.0.113.8"),
        ("[172.16.254.1]", "172.16.254.1"),
        ("server 10.20.30.40.", "10.20.30.40"),
        ("2001:db8:85a3::8a2e:370:7334", "2001:db8:85a3::8a2e:370:7334"),
        ("2001:0db8:0000:0000:0000:ff00:0042:8329", "2001:0db8:0000:0000:0000:ff00:0042:8329"),
        ("fe80::1ff:fe23:4567:890a", "fe80::1ff:fe23:4567:890a"),
        ("2606:4700::1111", "2606:4700::1111"),
        ("::ffff:192.0.2.128", "::ffff:192.0.2.128"),
        ("http://[2001:db8::1]:8080/", "2001:db8::1"),
    ],
    "US_SSN": [
        ("123-45-6789", "123-45-6789"),
        ("SSN: 078-05-1120", "078-05-1120"),
        ("ssn 123456789", "123456789"),
        ("social security number 219 09 9999", "219 09 9999"),
        ('"ssn":"457-55-5462"', "457-55-5462"),
    ],
    "FR_NIR": [
        ("2 55 08 14 168 025 38", "2 55 08 14 168 025 38"),
        ("255081416802538", "255081416802538"),
        ("n° 1 85 05 78 006 084 91", "1 85 05 78 006 084 91"),
        ("1 85 05 2A 006 084 35", "1 85 05 2A 006 084 35"),
        ("185052b00608462", "185052b00608462"),
    ],
    "ES_DNI": [("12345678Z", "12345678Z"), ("DNI 87654321-X", "87654321-X"),
               ("00000000t", "00000000t"), ("11111111 H", "11111111 H")],
    "ES_NIE": [("X1234567L", "X1234567L"), ("Y-1234567-X", "Y-1234567-X"),
               ("z1234567r", "z1234567r")],
    "IT_FISCAL_CODE": [("RSSMRA85T10A562S", "RSSMRA85T10A562S"),
                       ("mrtmtt25d09f205z", "mrtmtt25d09f205z")],
    "UK_NHS": [("943 476 5919", "943 476 5919"), ("NHS no 4010232137", "4010232137"),
               ("patient 987-654-4322", "987-654-4322")],
    "DE_STEUER_ID": [("86 095 742 719", "86 095 742 719"), ("47036892816", "47036892816"),
                     ("Steuer-ID 65929970489", "65929970489")],
    "URL_CREDENTIALS": [
        ("postgres://bob:s3cret@db.example.com:5432/x", "postgres://bob:s3cret@db.example.com:5432"),
        ("https://u:p%40ss@h.example/", "https://u:p%40ss@h.example"),
        ("redis://:hunter2@localhost", "redis://:hunter2@localhost"),
        ("amqp://a:b@c@rabbit:5672", "amqp://a:b@c@rabbit:5672"),
        ('url="mysql+pymysql://root:toor@10.0.0.1"', "mysql+pymysql://root:toor@10.0.0.1"),
    ],
}  # fmt: skip

INNOCENT = [
    "550e8400-e29b-41d4-a716-446655440000",
    "commit 356a192b7913b04c54574d18c28d46e6395428ab",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "d41d8cd98f00b204e9800998ecf8427e",
    "order number 1234567890",
    "invoice INV-2024-000123456789",
    "ISBN 978-3-16-148410-0",
    "ISBN 0-306-40615-2",
    "EAN 4006381333931",
    "2024-03-15T12:30:45.123456Z",
    "15/03/2024 12:30:45",
    "01.02.2024",
    "1700000000",
    "1700000000000",
    "1700000000000000",
    "version 1.2.3",
    "v10.4.2-beta.1",
    "version 1.2.3.4 of the driver",
    "Mozilla/5.0 Chrome/120.0.6099.71 Safari/537.36",
    "1.2.3.4.5",
    "127.0.0.1 and 0.0.0.0",
    "$1,234,567.89",
    "1 234 567,89 €",
    "EUR 12.345.678,90",
    "3.14159265358979323846",
    "0.4111111111111111",
    "SELECT id FROM users WHERE id = 1234567890123456;",
    "std::vector<int>::iterator, a::b, 12:30:45",
    "MAC 00:1B:44:11:3A:B7",
    "icon@2x.png and lodash@4.17.21",
    "git@github.com:org/repo.git",
    "@app.route('/x') @Override",
    "meet @ noon, 5 @ 3.00",
    "https://example.com:8080/path?x=1",
    "http://example.com/a:b@c",
    "[[EMAIL_ADDRESS_1]] [[CREDIT_CARD_12]] [[US_SSN_123456789]] [[IP_ADDRESS_3]]",
    "https://[[URL_CREDENTIALS_1]]/x and [[PHONE_NUMBER_2]]@example.com",
    "tracking 1Z999AA10123456784",
    "snowflake 1234567890123456789",
    "4111 1111 1111 1112",
    "1111 2222 3333 4444",
    "GB82 WEST 1234 5698 7654 33",
    "XX00 1234 5678 9012 3456",
    "000-12-3456, 666-12-3456, 900-12-3456, 123-00-4567, 123-45-0000",
    "12345678A X1234567A RSSMRA85T10A562T",
    "143 476 5918 is a part number",
    "86 095 742 718 units",
    "255081416802539",
    "0.1 0.01 00000000000 1111111111",
    "width: 100.50.25px; #4111aa",
    "lat 48.8566, lon 2.3522",
    "from 9 to 5, 24/7, 80/20, 1/2/3",
    "0x7fffffffe3a0 and 0b1010101010101010",
    "arXiv:2502.03771 doi:10.1000/182",
    "chapter 12.3.4 section 5",
    "RFC 2119, RFC 8259 and ISO 8601-1:2019",
    "x = 123456789 + 987654321",
    "over +10 000 000 users",
    "a change of +1 234 567 890",
    "Population: 331 002 651 in 2020",
]
"""Innocent text that looks suspicious: nothing may be found in it."""


@pytest.mark.parametrize(
    ("label", "text", "value"),
    [(label, text, value) for label, rows in POSITIVES.items() for text, value in rows],
)
def test_is_found_whole(label: str, text: str, value: str) -> None:
    found = {text[hit.start : hit.end] for hit in scan(text)
             if hit.label == label and hit.score >= COUNTS}  # fmt: skip
    assert value in found


@pytest.mark.parametrize("text", INNOCENT)
def test_is_innocent(text: str) -> None:
    found = [(hit.label, text[hit.start : hit.end], hit.score) for hit in scan(text)
             if hit.score >= COUNTS]  # fmt: skip
    assert found == []


def test_every_label_is_tried() -> None:
    assert set(POSITIVES) == set(LABELS)


@pytest.mark.parametrize(
    ("plain", "telling"),
    [
        ("ref 123456789", "ssn 123456789"),
        ("ref 4155552671", "call 4155552671"),
        ("612 345 678", "tel 612 345 678"),
        ("4010232137", "nhs 4010232137"),
        ("192.168.1.1", "ip 192.168.1.1"),
    ],
)
def test_words_beside_it_make_it_surer(plain: str, telling: str) -> None:
    def best(text: str) -> float:
        return max((hit.score for hit in scan(text)), default=0.0)

    assert best(telling) > best(plain)


def test_a_word_inside_another_word_tells_nothing() -> None:
    assert not [hit for hit in scan("hotel 4155552671") if hit.score >= COUNTS]
