// Validates asyncapi.yaml with AsyncAPI's own parser; `validate.sh` fetches it. Prints errors and warnings; fails on an error.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const require = createRequire(`${process.argv[2]}/`);
const { Parser, fromFile } = require("@asyncapi/parser");
const { AvroSchemaParser } = require("@asyncapi/avro-schema-parser");

const parser = new Parser();
parser.registerSchemaParser(AvroSchemaParser());
const { document, diagnostics } = await fromFile(parser, fileURLToPath(new URL("asyncapi.yaml", import.meta.url))).parse();
for (const { severity, path, message } of diagnostics.filter(({ severity }) => severity <= 1)) {
  console.error(`${["error", "warning"][severity]}: ${path.join(".")}: ${message}`);
}
if (!document || diagnostics.some(({ severity }) => severity === 0)) process.exit(1);
console.log(`asyncapi.yaml is valid: ${document.channels().length} channels, ${document.operations().length} operations, ${document.messages().length} messages`);
