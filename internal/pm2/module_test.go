package pm2

import (
	"strings"
	"testing"
)

var around = world{file: "/srv/app/ecosystem.config.js", dir: "/home/ann", environ: []string{"STAGE=test", "EMPTY=", "N=3"}, cores: 8}

func TestModulesWithoutNode(t *testing.T) {
	for src, want := range map[string]string{
		`module.exports = {apps: []}`:                                                    `{"apps":[]}`,
		"#!/usr/bin/env node\n'use strict';\nmodule.exports = {a: 1};\n":                 `{"a":1}`,
		`export default {a: 1}`:                                                          `{"a":1}`,
		`const name = "x", unused = 1`:                                                   "",
		"const name = 'x';\nlet n = 2\nmodule.exports = {name, n, full: `${name}-${n}`}": `{"name":"x","n":2,"full":"x-2"}`,
		`module.exports = [__dirname, __filename]`:                                       `["/srv/app","/srv/app/ecosystem.config.js"]`,
		`module.exports = [process.env.STAGE, process.env["N"], process.env.NONE || "y", process.env.EMPTY ?? 1]`:                                   `["test","3","y",""]`,
		`module.exports = {a: process.env.NONE, ...process.env}`:                                                                                    `{"STAGE":"test","EMPTY":"","N":"3"}`,
		`module.exports = process.env.STAGE === "test" ? 1 : 2`:                                                                                     `1`,
		`module.exports = require("os").cpus().length / 2`:                                                                                          `4`,
		"const os = require('node:os')\nmodule.exports = os.availableParallelism()":                                                                 `8`,
		"const path = require('path');\nmodule.exports = [path.join(__dirname, '..', 'x'), path.resolve('a', './b'), path.resolve(__dirname, 'l')]": `["/srv/x","/home/ann/a/b","/srv/app/l"]`,
		"import path from 'path'\nimport {cpus} from 'node:os'\nexport default [path.basename('/a/b.js', '.js'), cpus().length]":                    `["b",8]`,
		"import * as path from 'path'\nexport default path.dirname('/a/b')":                                                                         `"/a"`,
		"const {join} = require('path')\nmodule.exports = join('a', 'b')":                                                                           `"a/b"`,
		`module.exports = process.cwd()`:                                                                                                            `"/home/ann"`,
		`const list = ["a", "b"]; module.exports = [list[1], list.length, list[9]]`:                                                                 `["b",2,null]`,
		`const o = {a: {b: 1}}; module.exports = [o.a.b, o["a"], o.none]`:                                                                           `[1,{"b":1},null]`,
	} {
		v, err := readModule("f", src, &around)
		switch {
		case want == "" && err != nil:
		case err != nil:
			t.Errorf("%s: %v", src, err)
		case shown(v) != want:
			t.Errorf("%s: %s, want %s", src, shown(v), want)
		}
	}
}

func TestModulesThatNeedNode(t *testing.T) {
	for src, want := range map[string]string{
		"":                                   "f:1: nothing is exported",
		"module.exports = {\n a: () => 1\n}": `f:2: ")" is not expected here`,
		"\nmodule.exports = require('dotenv').config()": `f:2: the module "dotenv" is not known`,
		"import x from 'y'":                             `f:1: the module "y" is not known`,
		"function f() {}":                               `f:1: "function" cannot be read here`,
		"if (true) {}":                                  `f:1: "if" cannot be read here`,
		"export const a = 1":                            "f:1: only `export default` can be read here",
		"module.exports = process.exit(1)":              "f:1: process.exit cannot be read here",
		"module.exports = process.env":                  "f:1: there is no value",
		"module.exports = {a: process}":                 "f:1: process is not a value for a process file",
		"module.exports = [require]":                    "f:1: require is not a value for a process file",
		"module.exports = 'a'.trim()":                   "f:1: .trim cannot be read here",
		"module.exports = require('path').join(1)":      "f:1: path.join needs text",
		"module.exports = new Map()":                    "f:1: new is not known",
		"const a = 1; module.exports = a()":             "f:1: a function cannot be called here",
	} {
		_, err := readModule("f", src, &around)
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "install node") {
			t.Errorf("%s: %v, want %s", src, err, want)
		}
	}
}
