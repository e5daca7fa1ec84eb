// Plain Socket.IO apps in one framework each: FRAMEWORK names it. They choose no adapter and listen at PORT.
"use strict";
const http = require("http");
const { pathToFileURL } = require("url");
const { Server } = require("socket.io");

const load = (name) => import(pathToFileURL(require.resolve(name))); // NODE_PATH is for require only
const port = Number(process.env.PORT);
const serve = (io) => require("./app.js")(io, { pid: process.pid });

const frameworks = {
  express() {
    const app = require("express")();
    app.get("/", (req, res) => res.send("express"));
    const server = http.createServer(app);
    serve(new Server(server));
    server.listen(port);
  },

  async fastify() {
    const app = require("fastify")();
    app.get("/", async () => "fastify");
    serve(new Server(app.server));
    await app.listen({ port, host: "127.0.0.1" });
  },

  async hono() {
    const { Hono } = await load("hono");
    const { serve: listen } = await load("@hono/node-server");
    const app = new Hono();
    app.get("/", (c) => c.text("hono"));
    serve(new Server(listen({ fetch: app.fetch, port })));
  },

  async nest() {
    require("reflect-metadata");
    const { NestFactory } = require("@nestjs/core");
    const app = await NestFactory.create(require("./gateway.js").moduleOf(require("@nestjs/common"), require("@nestjs/websockets"), serve), { logger: ["error"] });
    await app.listen(port);
  },

  // middlewares of the server, of a namespace and of its sockets
  guarded() {
    const server = http.createServer();
    const io = new Server(server);
    io.use((socket, next) => next());
    io.of("/chat").use(async (socket, next) => {
      await new Promise(setImmediate);
      next();
    });
    io.of("/chat").on("connection", (socket) => socket.use((event, next) => next()));
    serve(io);
    server.listen(port);
  },
};

frameworks[process.env.FRAMEWORK]();
