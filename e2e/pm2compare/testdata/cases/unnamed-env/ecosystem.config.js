module.exports = { apps: [{ name: process.env.NO_SUCH_NAME, script: "./unnamedenv.js", cwd: process.env.NO_SUCH_FOLDER }] };
