#!/bin/sh
# A POST whose connection closes without an answer is sent a second time, and the program that made it never learns of it.
#
# Hurt: whoever calls an operation that must not run twice. Java's HttpURLConnection carries every call of JAX-WS RI;
# httplib2 is Python's in many old SOAP programs; libcurl is PHP's, and does it only on a connection that it had used before.
# The bridge: a second copy joins the first or gets its recorded answer, so the authority still hears it once.
# Source: the JDK documents the property sun.net.http.retryPost, which is true unless set; for the others, their code.
set -eu
for tool in python3 java; do
	command -v $tool >/dev/null || { echo "needs python3 with venv, and a JDK of 11 or later: $tool is missing" >&2; exit 2; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check --no-cache-dir install --no-compile httplib2==0.32.1 pycurl==7.49.0

cat >Post.java <<'EOF'
import java.net.*;
class Post {
	public static void main(String[] args) throws Exception {
		HttpURLConnection c = (HttpURLConnection) new URL(args[0]).openConnection();
		c.setDoOutput(true);
		c.getOutputStream().write("<cancel/>".getBytes());
		c.getResponseCode();
	}
}
EOF
cat >play.py <<'EOF'
import io, socket, subprocess, threading
import httplib2, pycurl

def server(answered):  # answers so many POSTs, then reads each and closes the connection
    listener, posts = socket.create_server(("127.0.0.1", 0)), []
    def serve(conn):
        while True:
            got = b""
            while b"<cancel/>" not in got:
                more = conn.recv(65536)
                if not more:
                    return conn.close()
                got += more
            posts.append(got)
            if len(posts) > answered:
                conn.shutdown(socket.SHUT_RDWR)
                return conn.close()
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    def accept():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return "http://127.0.0.1:%d/" % listener.getsockname()[1], posts

def java(url):
    return lambda: subprocess.run(["java", "Post.java", url], check=True, stderr=subprocess.DEVNULL)
def with_httplib2(url):
    http = httplib2.Http()
    return lambda: http.request(url, "POST", "<cancel/>")
def with_curl(url):
    curl = pycurl.Curl()
    curl.setopt(curl.WRITEDATA, io.BytesIO())
    curl.setopt(curl.URL, url)
    curl.setopt(curl.POSTFIELDS, "<cancel/>")
    return curl.perform

for name, client, before in [("HttpURLConnection", java, 0), ("httplib2", with_httplib2, 0), ("libcurl", with_curl, 0),
        ("libcurl, second call", with_curl, 1)]:
    url, posts = server(before)
    call = client(url)
    for _ in range(before):
        call()
    try:
        call()
        end = "success"
    except Exception:
        end = "one error"
    print("%s: sent %d times, told as %s" % (name, len(posts) - before, end))
EOF
seen=$(v/bin/python play.py)
echo "JDK: $(java -version 2>&1 | head -n 1); expected: each POST sent once, since nobody can know whether it was carried out"
printf "%s\n" "$seen"
[ "$seen" = "HttpURLConnection: sent 2 times, told as one error
httplib2: sent 2 times, told as one error
libcurl: sent 1 times, told as one error
libcurl, second call: sent 2 times, told as one error" ] || { echo "CHANGED: not what this finding says any more" >&2; exit 1; }
