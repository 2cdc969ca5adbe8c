// What Parley's sockets are measured against: `ws`, deflate off. Whoever shows a token signed with the secret (HS256)
// is let in and hears every broadcast; any further frame of theirs causes one.
import { createHmac, timingSafeEqual } from "node:crypto";
import { WebSocketServer } from "ws";

const [port, secret, payload] = process.argv.slice(2);
const frame = Buffer.from(payload);
const readers = new Set();

function verified(token) {
  const [header, claims, signature] = token.split(".");
  if (JSON.parse(Buffer.from(header, "base64url")).alg !== "HS256") return false;
  const expected = createHmac("sha256", secret).update(`${header}.${claims}`).digest();
  const given = Buffer.from(signature, "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return false;
  return JSON.parse(Buffer.from(claims, "base64url")).exp > Date.now() / 1000;
}

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(port), perMessageDeflate: false });

server.on("connection", (socket) => {
  socket.once("message", (first) => {
    if (!verified(JSON.parse(first).token)) return socket.close(4401);
    readers.add(socket);
    socket.on("message", () => {
      for (const reader of readers) reader.send(frame, { binary: false });
    });
    socket.send('{"type":"ready"}');
  });
  socket.on("close", () => readers.delete(socket));
  socket.on("error", () => socket.terminate());
});
