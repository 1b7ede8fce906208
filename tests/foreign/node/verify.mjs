// Verifies Sigstore bundles around in-toto statements as a stock tool would: @sigstore/verify checks the signature, and
// the statement's subject is held against the SHA-256 of a real file.
//
// stdin: {"jobs": [{"bundle": "<JSON>", "keys": {"<hint>": "<PEM>"}, "root": {trusted root}|null, "file": "<path>",
//                   "identity": "<SAN>"|null, "issuer": "<URL>"|null}]}
// stdout: {"version": "…", "results": [{"predicateType": "…", "subject": "…"} or {"error": "…"}]}
import { createHash, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// Resolved from where .ci/foreign installed it, which is not beside this file.
const require = createRequire(`${process.argv[2]}/`);
const { bundleFromJSON } = require("@sigstore/bundle");
const { TrustedRoot } = require("@sigstore/protobuf-specs");
const { toSignedEntity, toTrustMaterial, Verifier } = require("@sigstore/verify");
const { version } = JSON.parse(readFileSync(`${process.argv[2]}/node_modules/@sigstore/verify/package.json`, "utf8"));

function verify(job) {
  const bundle = bundleFromJSON(JSON.parse(job.bundle));
  const keys = {};
  for (const [hint, pem] of Object.entries(job.keys)) {
    keys[hint] = { rawBytes: createPublicKey(pem).export({ format: "der", type: "spki" }) };
  }
  const trust = toTrustMaterial(TrustedRoot.fromJSON(job.root ?? {}), keys);
  const evidence = job.root ? 1 : 0; // a key's bundle has neither certificate nor log entry
  const verifier = new Verifier(trust, {
    ctlogThreshold: evidence, tlogThreshold: evidence, timestampThreshold: evidence,
  });
  const policy = job.identity && { subjectAlternativeName: job.identity, extensions: { issuer: job.issuer } };
  verifier.verify(toSignedEntity(bundle), policy || undefined);
  const envelope = bundle.content.dsseEnvelope;
  if (envelope.payloadType !== "application/vnd.in-toto+json") throw new Error(`payload type ${envelope.payloadType}`);
  const statement = JSON.parse(Buffer.from(envelope.payload).toString("utf8"));
  const digest = createHash("sha256").update(readFileSync(job.file)).digest("hex");
  const subject = statement.subject.find((one) => one.digest.sha256 === digest);
  if (!subject) throw new Error("the file is no subject of the statement");
  return { predicateType: statement.predicateType, subject: subject.name };
}

const results = JSON.parse(readFileSync(0, "utf8")).jobs.map((job) => {
  try {
    return verify(job);
  } catch (error) {
    return { error: `${error.name}: ${error.message}` };
  }
});
console.log(JSON.stringify({ version: `@sigstore/verify ${version}`, results }));
