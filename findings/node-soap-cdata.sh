#!/bin/sh
# Both SOAP clients of Node turn a string into an object when it is an XML document in CDATA, and glue words together.
#
# Hurt: whoever fetches documents (invoices, signed XML) as xsd:string. Written as &lt;...&gt; the same text stays a string.
# A string in pieces of text and CDATA loses the blanks between the pieces, and every string the blanks at its ends.
# The bridge: its answers have no CDATA, and no value in them needs blanks at its ends.
set -eu
command -v npm >/dev/null || { echo "needs Node 20 with npm" >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir"
npm install --silent --no-audit --no-fund soap@1.13.0 strong-soap@5.0.10 >/dev/null

cat >doc.wsdl <<'EOF'
<definitions name="n" targetNamespace="urn:n" xmlns:t="urn:n" xmlns="http://schemas.xmlsoap.org/wsdl/"
  xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xsd="http://www.w3.org/2001/XMLSchema">
<types><xsd:schema targetNamespace="urn:n">
  <xsd:element name="get"><xsd:complexType><xsd:sequence/></xsd:complexType></xsd:element>
  <xsd:element name="getResponse"><xsd:complexType><xsd:sequence>
    <xsd:element name="doc" type="xsd:string"/></xsd:sequence></xsd:complexType></xsd:element></xsd:schema></types>
<message name="in"><part name="parameters" element="t:get"/></message>
<message name="out"><part name="parameters" element="t:getResponse"/></message>
<portType name="p"><operation name="get"><input message="t:in"/><output message="t:out"/></operation></portType>
<binding name="b" type="t:p"><soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
  <operation name="get"><soap:operation soapAction=""/><input><soap:body use="literal"/></input>
  <output><soap:body use="literal"/></output></operation></binding>
<service name="s"><port name="p" binding="t:b"><soap:address location="http://127.0.0.1/"/></port></service>
</definitions>
EOF
cat >play.js <<'EOF'
const http = require("http"), stacks = { soap: require("soap"), "strong-soap": require("strong-soap").soap };
let doc;
const server = http.createServer((request, response) => {
  response.setHeader("Content-Type", "text/xml; charset=utf-8");
  request.resume().on("end", () => response.end(`<E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/"><E:Body>
<n:getResponse xmlns:n="urn:n"><doc>${doc}</doc></n:getResponse></E:Body></E:Envelope>`));
}).listen(0, "127.0.0.1", async () => {
  for (doc of ['&lt;?xml version="1.0"?&gt;&lt;Invoice/&gt;', '<![CDATA[<Invoice/>]]>', '<![CDATA[<?xml version="1.0"?><Invoice><ID>007</ID></Invoice>]]>',
    "Tata <![CDATA[& ]]>Sons", "  indented"])
    for (const [name, stack] of Object.entries(stacks))
      await new Promise(done => stack.createClient("doc.wsdl", { endpoint: `http://127.0.0.1:${server.address().port}/` }, (error, client) => {
        client.get({}, (error, answer) => { console.log(`${name}: ${doc} => ${error || JSON.stringify(answer.doc)}`); done(); });
      }));
  process.exit();
});
EOF
seen=$(node play.js)
echo "soap 1.13.0, strong-soap 5.0.10; expected: each xsd:string as the text that it is"
printf "%s\n" "$seen"
cat >described <<'EOF'
soap: &lt;?xml version="1.0"?&gt;&lt;Invoice/&gt; => "<?xml version=\"1.0\"?><Invoice/>"
strong-soap: &lt;?xml version="1.0"?&gt;&lt;Invoice/&gt; => "<?xml version=\"1.0\"?><Invoice/>"
soap: <![CDATA[<Invoice/>]]> => "<Invoice/>"
strong-soap: <![CDATA[<Invoice/>]]> => "<Invoice/>"
soap: <![CDATA[<?xml version="1.0"?><Invoice><ID>007</ID></Invoice>]]> => {"Invoice":{"ID":"007"}}
strong-soap: <![CDATA[<?xml version="1.0"?><Invoice><ID>007</ID></Invoice>]]> => {"Invoice":{"ID":"007"}}
soap: Tata <![CDATA[& ]]>Sons => "Tata&Sons"
strong-soap: Tata <![CDATA[& ]]>Sons => "Tata&Sons"
soap:   indented => "indented"
strong-soap:   indented => "indented"
EOF
[ "$seen" = "$(cat described)" ] || { echo "CHANGED: not what this finding says any more" >&2; exit 1; }
