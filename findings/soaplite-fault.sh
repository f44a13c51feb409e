#!/bin/sh
# SOAP::Lite: an operation called through its description gives nothing for a Fault: no exception, no error text, no status.
#
# Hurt: the program that books what comes back. my %answer = $service->note(...) is an empty list for a Fault, $@ is empty, and
# the next line runs: "not carried out, retry" and "done, nothing to say" look alike. A call by hand (->proxy->call) does hand
# out the Fault. An on_fault handler, set for the class before the description is read, tells, too.
# The bridge: its guide says so, and trouble_as: reply answers such callers in the ordinary form.
# Source: SOAP::Lite's manual, under on_fault and "service". It has to be there already, as the distribution's package; python3, too.
set -eu
if ! perl -MSOAP::Lite -e 1 2>/dev/null || ! command -v python3 >/dev/null; then
	echo "needs SOAP::Lite and python3: apt-get install libsoap-lite-perl python3" >&2
	exit 2
fi
dir=$(mktemp -d)
trap 'kill $server 2>/dev/null; rm -rf "$dir"' EXIT
cat >"$dir/serve.py" <<'PY'
import http.server, sys
FAULT = (b'<?xml version="1.0"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault>'
         b'<faultcode>e:Server</faultcode><faultstring>not carried out</faultstring></e:Fault></e:Body></e:Envelope>')
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(len(FAULT)))
        self.end_headers()
        self.wfile.write(FAULT)
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
url = "http://127.0.0.1:%d/" % server.server_port
open(sys.argv[1] + "/note.wsdl", "w").write('''<definitions name="n" targetNamespace="urn:n" xmlns:t="urn:n" xmlns="http://schemas.xmlsoap.org/wsdl/"
 xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xsd="http://www.w3.org/2001/XMLSchema">
<message name="in"><part name="text" type="xsd:string"/></message><message name="out"><part name="done" type="xsd:string"/></message>
<portType name="p"><operation name="note"><input message="t:in"/><output message="t:out"/></operation></portType>
<binding name="b" type="t:p"><soap:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/><operation name="note">
<soap:operation soapAction="urn:n#note"/><input><soap:body use="literal" namespace="urn:n"/></input><output><soap:body use="literal" namespace="urn:n"/></output>
</operation></binding><service name="s"><port name="q" binding="t:b"><soap:address location="%s"/></port></service></definitions>''' % url)
open(sys.argv[1] + "/url", "w").write(url)
server.serve_forever()
PY
python3 "$dir/serve.py" "$dir" &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -s "$dir/url" ] && break; sleep 0.5; done
seen=$(perl -MSOAP::Lite -e '
my ($wsdl, $url) = @ARGV;
my $service = SOAP::Lite->service("file:$wsdl");
my @answer = eval { $service->note("hello") };
print "by the description: ", scalar(@answer), " values, error \"$@\"\n";
my $som = eval { SOAP::Lite->proxy($url)->uri("urn:n")->call(note => "hello") };
print "by hand: ", (ref $som && $som->fault ? $som->faultstring : "nothing"), "\n";
' "$dir/note.wsdl" "$(cat "$dir/url")")
echo "SOAP::Lite $(perl -MSOAP::Lite -e 'print SOAP::Lite->VERSION'); expected: an exception with the Fault's text, or the Fault, both times"
printf '%s\n' "$seen"
[ "$seen" = 'by the description: 0 values, error ""
by hand: not carried out' ] || { echo "CHANGED: not what this finding says any more (seen with SOAP::Lite 1.27)" >&2; exit 1; }
