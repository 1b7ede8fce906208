// Serves @sigstore/mock's CA, CT log and Rekor on loopback, for the real Python client.
//
// argv: the folder that it is installed in. stdout: one line, {"version", "url", "root", "ctlog", "tlog"}: the CA's
// certificate and the logs' public keys, DER in base64. It ends when its standard input does.
//
// The mock is made for the JavaScript client: it takes the token in the body, a bare PEM request, and logs what is
// proposed as it is. Here stands what a real Fulcio and Rekor do in between; certificates, SCTs, entry timestamps and
// checkpoints are the mock's.
import { createHash, generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const require = createRequire(`${process.argv[2]}/`);
const mock = require("@sigstore/mock");
const { version } = JSON.parse(readFileSync(`${process.argv[2]}/node_modules/@sigstore/mock/package.json`, "utf8"));

const keys = () => generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const sha256 = (data) => ({ algorithm: "sha256", value: createHash("sha256").update(data).digest("hex") });

const ctlog = await mock.initializeCTLog(keys());
const ca = await mock.initializeCA(keys(), ctlog);
const fulcio = mock.fulcioHandler(ca).fn;

const server = createServer((request, response) => {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", async () => {
    const body = JSON.parse(Buffer.concat(pieces).toString());
    let answer = { statusCode: 404, response: "" };
    if (request.url === "/api/v2/signingCert") {
      answer = await fulcio(JSON.stringify({
        credentials: { oidcIdentityToken: request.headers.authorization.replace("Bearer ", "") },
        certificateSigningRequest: Buffer.from(body.certificateSigningRequest, "base64").toString(),
      }));
    } else if (request.url === "/api/v1/log/entries" && body.kind === "dsse") {
      const { envelope, verifiers } = body.spec.proposedContent;
      const { payload, signatures } = JSON.parse(envelope);
      answer = await rekor(JSON.stringify({
        apiVersion: "0.0.1", kind: "dsse",
        spec: {
          envelopeHash: sha256(envelope), payloadHash: sha256(Buffer.from(payload, "base64")),
          signatures: [{ signature: signatures[0].sig, verifier: verifiers[0] }],
        },
      }));
    }
    response.writeHead(answer.statusCode, { "content-type": "application/json", connection: "close" });
    response.end(answer.response);
  });
});

let rekor;
server.listen(0, "localhost", async () => {
  const url = `http://localhost:${server.address().port}`;
  const tlog = await mock.initializeTLog(url, keys());
  rekor = mock.rekorHandler(tlog).fn;
  const b64 = (data) => Buffer.from(data).toString("base64");
  console.log(JSON.stringify({
    version: `@sigstore/mock ${version}`, url, root: b64(ca.rootCertificate), ctlog: b64(ctlog.publicKey), tlog: b64(tlog.publicKey),
  }));
});
process.stdin.on("end", () => process.exit(0)).resume();
