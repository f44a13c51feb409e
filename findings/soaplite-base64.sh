#!/bin/sh
# SOAP::Lite guesses a type for each text: one letter outside ASCII, and it is sent as base64Binary.
#
# Hurt: the receiver that reads an xsd:string as it stands: "Rückgabe" becomes "UsO8Y2tnYWJl", and is stored so.
# A clerk's accent or rupee sign decides it, so the first hundred calls are right. Texts of digits come as xsd:int or
# xsd:float. Only by hand (SOAP::Data->type(string => ...)) does a text stay one.
# The bridge: reads base64Binary as the text in it, for every parameter, and names the leniency in its log.
# Source: the manual of SOAP::Serializer, under autotype. SOAP::Lite has to be there already, as the distribution's package.
set -eu
if ! perl -MSOAP::Lite -e 1 2>/dev/null; then
	echo "needs SOAP::Lite: apt-get install libsoap-lite-perl" >&2
	exit 2
fi
seen=$(perl -CS -Mutf8 -MSOAP::Lite -e '
for my $text ("Wrong buyer", "Rückgabe", "₹500", "0123", "2026", "12345678901234567890", "24E0451") {
	my $envelope = SOAP::Serializer->envelope(method => "note", SOAP::Data->name(text => $text));
	print "$text: $1\n" if $envelope =~ m{<text xsi:type="(.*?)</text>};
}')
echo "SOAP::Lite $(perl -MSOAP::Lite -e 'print SOAP::Lite->VERSION'); expected: xsd:string and the text for each"
printf '%s\n' "$seen"
[ "$seen" = 'Wrong buyer: xsd:string">Wrong buyer
Rückgabe: xsd:base64Binary">UsO8Y2tnYWJl
₹500: xsd:base64Binary">4oK5NTAw
0123: xsd:string">0123
2026: xsd:int">2026
12345678901234567890: xsd:float">12345678901234567890
24E0451: xsd:float">24E0451' ] || { echo "CHANGED: not what this finding says any more (seen with SOAP::Lite 1.27)" >&2; exit 1; }
