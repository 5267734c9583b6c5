// node validate.mjs file.glb -> the Khronos validator's report as JSON on standard output.
import { readFileSync } from "node:fs";
import validator from "gltf-validator";

const bytes = new Uint8Array(readFileSync(process.argv[2]));
const report = await validator.validateBytes(bytes, { maxIssues: 50 });
process.stdout.write(JSON.stringify(report));
