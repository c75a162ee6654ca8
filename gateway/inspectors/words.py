"""Words that, beside a number, tell what it is. Lower case; several languages together."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PHONE = _words("""
    phone phones telephone tel call calls called calling mobile cell cellphone fax whatsapp sms
    text dial reach ring landline contact
    téléphone portable appeler appelez appelle joindre
    telefon handy mobil anrufen ruf rufnummer
    teléfono móvil llamar llame llámame
    telefono cellulare chiamare chiama
    telefoon mobiel telefone celular ligue
""")
CARD = _words("""
    card cards visa mastercard amex credit debit maestro discover cvv cvc
    carte bancaire cb karte kreditkarte kartennummer tarjeta carta
""")
SSN = _words("ssn ssns social security socialsecurity taxpayer itin")
NHS = _words("nhs patient gp surgery hospital")
STEUER_ID = _words("""
    steuer steuerid steuernummer identifikationsnummer steueridentifikationsnummer idnr
    finanzamt tin
""")
DNI = _words("dni nif documento identidad")
NETWORK = _words("ip host address server adresse dirección")
VERSION = _words("version versions release build firmware driver v ver")
