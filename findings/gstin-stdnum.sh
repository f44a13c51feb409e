#!/bin/sh
# python-stdnum says that valid GSTINs are wrong: Ladakh is no state to it, and only "ordinary" taxpayers fit its pattern.
#
# Hurt: whoever checks a taxpayer's number before calling: companies of Ladakh (38) and of Other Territory (97), those who
# deduct tax at source, foreign suppliers of online services, embassies and UN bodies. Also the authority's sandbox, whose
# sample taxpayers end in 000 and have no check character.
# The bridge: looks user_gstin up among its taxpayers and judges its form nowhere.
# Source: the lists of state codes and the formats of GSTIN, UIN, TDS and OIDAR numbers on the GST portal. All numbers here
# but the sandbox's are made up, with the right check character.
set -eu
command -v python3 >/dev/null || { echo "needs python3 with venv" >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check --no-cache-dir install --no-compile python-stdnum==2.1

cat >play.py <<'EOF'
from stdnum.exceptions import ValidationError
from stdnum.in_ import gstin

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

def with_check_character(number):
    total = 0
    for place, char in enumerate(number):
        product = ALPHABET.index(char) * (1 + place % 2)
        total += product // 36 + product % 36
    return number + ALPHABET[-total % 36]

for who, number in [
    ("Karnataka", with_check_character("29AAACA1234A1Z")),
    ("Ladakh", with_check_character("38AAACA1234A1Z")),
    ("Other Territory", with_check_character("97AAACA1234A1Z")),
    ("deductor of tax at source", with_check_character("07DELA12345A1D")),
    ("collector of tax at source", with_check_character("27AAACA1234A1C")),
    ("foreign online supplier", with_check_character("9926SGP29001OS")),
    ("embassy or UN body", with_check_character("0726UNO00001UN")),
    ("sandbox taxpayer", "29AAFCD5862R000"),
]:
    try:
        gstin.validate(number)
        print("%s %s: valid" % (who, number))
    except ValidationError as error:
        print("%s %s: %s" % (who, number, type(error).__name__))
EOF
seen=$(v/bin/python play.py)
echo "python-stdnum 2.1; expected: valid, but for the sandbox's"
printf "%s\n" "$seen"
[ "$seen" = "Karnataka 29AAACA1234A1ZG: valid
Ladakh 38AAACA1234A1ZH: InvalidComponent
Other Territory 97AAACA1234A1ZD: InvalidComponent
deductor of tax at source 07DELA12345A1DG: InvalidFormat
collector of tax at source 27AAACA1234A1CV: InvalidComponent
foreign online supplier 9926SGP29001OSU: InvalidFormat
embassy or UN body 0726UNO00001UN8: InvalidFormat
sandbox taxpayer 29AAFCD5862R000: InvalidComponent" ] || { echo "CHANGED: not what this finding says any more" >&2; exit 1; }
