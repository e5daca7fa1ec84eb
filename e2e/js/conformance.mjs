// node conformance.mjs CHECKS URL [PART-OF-A-NAME]: checks one app of e2e/conformance, or of conformance-reference.mjs.
import { Target, run } from "./conformance-kit.mjs";

const [app, url, only] = process.argv.slice(2);
const { default: add } = await import(`./conformance-${app}.mjs`);
add(new Target(url));
process.exit((await run(only, 4)) ? 0 : 1);
