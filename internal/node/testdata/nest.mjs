// The NestJS app of frameworks.js as ES modules.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const load = (name) => import(pathToFileURL(require.resolve(name))); // NODE_PATH is for require only
await load("reflect-metadata");
const common = await load("@nestjs/common");
const websockets = await load("@nestjs/websockets");
const { NestFactory } = await load("@nestjs/core");

const serve = (io) => require("./app.js")(io, { pid: process.pid });
const app = await NestFactory.create(require("./gateway.js").moduleOf(common, websockets, serve), { logger: ["error"] });
await app.listen(Number(process.env.PORT));
