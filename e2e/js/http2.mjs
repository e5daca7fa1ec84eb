// A polling session of two namespaces' worth of requests over one HTTP/2 connection of Node's own client: handshake,
// connect, an event with an ack, all with a poll under way. Prints what it got.
import http2 from "node:http2";

const session = http2.connect(process.argv[2], { rejectUnauthorized: false });
session.on("error", fail);

function request(method, path, body) {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":method": method, ":path": path });
    let status, text = "";
    stream.setEncoding("utf8");
    stream.on("response", (headers) => (status = headers[":status"]));
    stream.on("data", (chunk) => (text += chunk));
    stream.on("end", () => resolve({ status, text }));
    stream.on("error", reject);
    stream.end(body);
  });
}

function fail(err) {
  console.log(JSON.stringify({ error: String(err) }));
  process.exit(1);
}

const path = "/socket.io/?EIO=4&transport=polling";
try {
  const open = JSON.parse((await request("GET", path)).text.slice(1));
  const own = `${path}&sid=${open.sid}`;
  const connected = request("GET", own);
  const joined = await request("POST", own, "40");
  const hello = await connected;
  const answered = request("GET", own);
  const posted = await request("POST", own, '420["echo","over http2"]');
  const ack = await answered;
  const unknown = await request("GET", `${path}&sid=AAAAAAAAAAAAAAAAAAAA`);
  console.log(JSON.stringify({
    posts: [joined.text, posted.text], connected: hello.text.startsWith('40{"sid":"'), ack: ack.text, unknown: unknown.status,
    websockets: session.remoteSettings.enableConnectProtocol,
  }));
  session.close();
} catch (err) {
  fail(err);
}
