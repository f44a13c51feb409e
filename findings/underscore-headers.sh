#!/bin/sh
# A header named client_id never reaches the program behind gunicorn, waitress or Werkzeug's server: dropped without a word.
#
# Hurt: whoever puts a gateway or a stand-in written in Python where the Indian authority's API is expected: its documented
# headers are client_id, client_secret and user_name, and the log-in arrives without any. It works in the standard
# library's server and in uvicorn, so the first try on the developer's machine may show nothing.
# The bridge: header_style: hyphen, for those who stand behind such a server.
# Source: gunicorn's settings header_map and forwarder_headers say so; the others say it in their code.
set -eu
for tool in python3 curl; do
	command -v $tool >/dev/null || { echo "needs python3 with venv, and curl: $tool is missing" >&2; exit 2; }
done
dir=$(mktemp -d)
servers=
trap 'kill $servers 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check --no-cache-dir install --no-compile gunicorn==27.0.1 waitress==3.0.2 Werkzeug==3.1.9 uvicorn==0.54.0

cat >app.py <<'EOF'
def wsgi(environ, start):
    start("200 OK", [("Content-Type", "text/plain")])
    return [(environ.get("HTTP_CLIENT_ID") or "nothing").encode()]

async def asgi(scope, receive, send):
    headers = {k.replace(b"_", b"-"): v for k, v in scope.get("headers", [])}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": headers.get(b"client-id", b"nothing")})
EOF
free_port() { v/bin/python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
try() { # NAME COMMAND...: starts a server on a free port, asks it twice
	name=$1 port=$(free_port)
	shift
	PORT=$port sh -c "exec v/bin/$*" >"$name.log" 2>&1 &
	servers="$servers $!"
	for _ in $(seq 100); do curl -s -o /dev/null "127.0.0.1:$port" && break; sleep 0.3; done
	echo "$name: client_id gives $(curl -s -H 'client_id: U' "127.0.0.1:$port"), client-id gives $(curl -s -H 'client-id: U' "127.0.0.1:$port")"
}
{
	try wsgiref 'python -c "import app, os; from wsgiref.simple_server import make_server as m; m(\"127.0.0.1\", int(os.environ[\"PORT\"]), app.wsgi).serve_forever()"'
	try uvicorn 'uvicorn --port $PORT --lifespan off app:asgi'
	try gunicorn 'gunicorn -b 127.0.0.1:$PORT --no-control-socket app:wsgi'
	try waitress 'waitress-serve --listen=127.0.0.1:$PORT app:wsgi'
	try werkzeug 'python -c "import app, os; from werkzeug.serving import run_simple as r; r(\"127.0.0.1\", int(os.environ[\"PORT\"]), app.wsgi)"'
} >seen
echo "gunicorn 27.0.1, waitress 3.0.2, Werkzeug 3.1.9, uvicorn 0.54.0; expected: U each time, or an error"
cat seen
[ "$(cat seen)" = "wsgiref: client_id gives U, client-id gives U
uvicorn: client_id gives U, client-id gives U
gunicorn: client_id gives nothing, client-id gives U
waitress: client_id gives nothing, client-id gives U
werkzeug: client_id gives nothing, client-id gives U" ] || { echo "CHANGED: not what this finding says any more" >&2; exit 1; }
