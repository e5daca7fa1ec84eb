package pm2

import (
	"errors"
	"fmt"
	"strconv"
)

// staticScript is the script of apps that serve a folder.
const staticScript = "serve"

// Site is a folder that `serve` serves.
type Site struct {
	Folder             string // absolute
	Port               int
	SPA                bool // unknown paths get the homepage
	Username, Password string
}

// Static returns the app that serves a folder.
func (l *Loader) Static(site Site) (*Result, error) {
	env := newObject()
	env.set("PM2_SERVE_PATH", site.Folder)
	env.set("PM2_SERVE_PORT", strconv.Itoa(site.Port))
	env.set("PM2_SERVE_SPA", strconv.FormatBool(site.SPA))
	if site.Username != "" && site.Password != "" {
		env.set("PM2_SERVE_BASIC_AUTH", "true")
		env.set("PM2_SERVE_BASIC_AUTH_USERNAME", site.Username)
		env.set("PM2_SERVE_BASIC_AUTH_PASSWORD", site.Password)
	}
	app := newObject()
	app.set("name", fmt.Sprintf("static-page-server-%d", site.Port))
	app.set("script", staticScript)
	app.set("cwd", site.Folder)
	app.set("env", env)
	s := settler{loader: l, place: 1, vendor: map[string]bool{}, static: true}
	a, errs := s.app(app)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &Result{Apps: []App{a}, Notices: lines(s.notices)}, nil
}

// staticApps returns the apps that a file's `static` stands for: a list of folders to serve.
func staticApps(file string, top *object) (apps []value, err error) {
	v, ok := top.get("static")
	if !ok || v == nil {
		return nil, nil
	}
	list, ok := v.([]value)
	if !ok {
		list = []value{v}
	}
	for i, e := range list {
		site, ok := e.(*object)
		if !ok {
			return nil, &FieldError{File: file, App: fmt.Sprintf("static %d", i+1), Rule: "must be an object, not " + typeOf(e)}
		}
		apps = append(apps, staticApp(site))
	}
	return apps, nil
}

// staticApp returns the app for an entry of `static`.
func staticApp(site *object) *object {
	env := newObject()
	for field, variable := range map[string]string{"port": "PM2_SERVE_PORT", "host": "PM2_SERVE_HOST", "path": "PM2_SERVE_PATH", "spa": "PM2_SERVE_SPA", "homepage": "PM2_SERVE_HOMEPAGE"} {
		if v, ok := site.get(field); ok && v != nil {
			env.set(variable, text(v))
		}
	}
	if v, ok := site.get("basic_auth"); ok && v != nil {
		env.set("PM2_SERVE_BASIC_AUTH", "true")
		if auth, ok := v.(*object); ok {
			for field, variable := range map[string]string{"username": "PM2_SERVE_BASIC_AUTH_USERNAME", "password": "PM2_SERVE_BASIC_AUTH_PASSWORD"} {
				if v, ok := auth.get(field); ok && v != nil {
					env.set(variable, text(v))
				}
			}
		}
	}
	app := newObject()
	port, _ := env.get("PM2_SERVE_PORT")
	name := "static-page-server"
	if port != nil {
		name += "-" + text(port)
	}
	app.set("name", name)
	if v, ok := site.get("name"); ok && v != nil {
		app.set("name", v)
	}
	app.set("script", staticScript)
	app.set("env", env)
	return app
}
