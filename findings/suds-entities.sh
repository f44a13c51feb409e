#!/bin/sh
# suds does not escape an ampersand that already looks like an entity: a text that says "&lt;" arrives as "<".
#
# Hurt: whoever sends texts about markup, or texts that another program escaped before. What is stored at the other end is
# not what was sent, and nothing complains. zeep, with the same WSDL and the same text, is right.
# The bridge: can't see it; the bytes on the wire say "<" in good XML.
set -eu
command -v python3 >/dev/null || { echo "needs python3 with venv" >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check --no-cache-dir install --no-compile suds-community==1.2.0 zeep==4.3.2

cat >note.wsdl <<'EOF'
<definitions name="n" targetNamespace="urn:n" xmlns:t="urn:n" xmlns="http://schemas.xmlsoap.org/wsdl/"
  xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xsd="http://www.w3.org/2001/XMLSchema">
<types><xsd:schema targetNamespace="urn:n"><xsd:element name="note"><xsd:complexType><xsd:sequence>
  <xsd:element name="text" type="xsd:string"/></xsd:sequence></xsd:complexType></xsd:element></xsd:schema></types>
<message name="in"><part name="parameters" element="t:note"/></message>
<portType name="p"><operation name="note"><input message="t:in"/></operation></portType>
<binding name="b" type="t:p"><soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
  <operation name="note"><soap:operation soapAction=""/><input><soap:body use="literal"/></input></operation></binding>
<service name="s"><port name="p" binding="t:b"><soap:address location="http://127.0.0.1/"/></port></service>
</definitions>
EOF
cat >play.py <<'EOF'
import os, xml.etree.ElementTree as ET
import suds.client, zeep
from lxml import etree

here = os.path.abspath("note.wsdl")
with_suds = suds.client.Client("file://" + here, nosend=True, cache=None)
with_zeep = zeep.Client(here)
for text in "5 < 6 & 7", "write &lt; for less", "R&amp;D", "R&D", "&#8377; 500":
    a = with_suds.service.note(text).envelope
    b = etree.tostring(with_zeep.create_message(with_zeep.service, "note", text=text))
    for name, sent in ("suds", a), ("zeep", b):
        read = next(e.text for e in ET.fromstring(sent).iter() if e.tag == "text")
        print("%s: %s arrives as %s" % (name, text, read))
EOF
seen=$(v/bin/python play.py)
echo "suds-community 1.2.0, zeep 4.3.2; expected: every text arrives as it was given"
printf "%s\n" "$seen"
[ "$seen" = "suds: 5 < 6 & 7 arrives as 5 < 6 & 7
zeep: 5 < 6 & 7 arrives as 5 < 6 & 7
suds: write &lt; for less arrives as write < for less
zeep: write &lt; for less arrives as write &lt; for less
suds: R&amp;D arrives as R&D
zeep: R&amp;D arrives as R&amp;D
suds: R&D arrives as R&D
zeep: R&D arrives as R&D
suds: &#8377; 500 arrives as &#8377; 500
zeep: &#8377; 500 arrives as &#8377; 500" ] || { echo "CHANGED: not what this finding says any more" >&2; exit 1; }
