package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/systemd"
)

const (
	unitFolder  = "/etc/systemd/system"
	unitTimeout = 50 * time.Second // longer than a stop takes by default
)

// boot is the unit of one user, for startup and unstartup.
type boot struct {
	user, home string
	name       string // of the service; empty: the user's
	print      bool
	folder     string // of the units
}

// bootCommand makes a command about the unit of a user.
func bootCommand(cmd *cobra.Command, run func(*boot, context.Context, *control) error) *cobra.Command {
	b := &boot{}
	cmd.Args, cmd.ValidArgsFunction = takes(0, 1), cobra.FixedCompletions([]string{"systemd"}, cobra.ShellCompDirectiveNoFileComp)
	talkCommand(cmd, func(ctx context.Context, c *control, args []string) error {
		if err := b.settle(); err != nil {
			return err
		}
		if err := b.platform(c, args); err != nil {
			return err
		}
		return run(b, ctx, c)
	})
	f := cmd.Flags()
	f.StringVarP(&b.user, "user", "u", "", "`user` whose apps start at boot; default: this user, under sudo the user who called it")
	f.StringVar(&b.home, "hp", "", "home `folder` of that user")
	f.StringVar(&b.name, "service-name", "", "the service's `name`; default: sidereal-<user>")
	f.StringVar(&b.folder, "unit-folder", unitFolder, "`folder` of systemd's units; choose another one to build an image")
	f.BoolVar(&b.print, "print", false, "print the unit without installing it")
	return cmd
}

func startupCommand() *cobra.Command {
	return bootCommand(&cobra.Command{
		Use: "startup [systemd]", Short: "Make systemd start the saved apps at boot",
		Long: `Make systemd start the saved apps at boot, as a service that it restarts. Unless you are root, the command prints
the command to run as root. After it, save the apps with ` + "`save`" + `.`,
	}, (*boot).install)
}

func unstartupCommand() *cobra.Command {
	return bootCommand(&cobra.Command{Use: "unstartup [systemd]", Short: "Stop starting the saved apps at boot"}, (*boot).remove)
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// settle finds out the user and the user's home.
func (b *boot) settle() error {
	if b.user == "" {
		b.user = os.Getenv("SUDO_USER")
	}
	if b.user == "" {
		u, err := user.Current()
		if err != nil {
			return err
		}
		b.user = u.Username
		if b.home == "" {
			b.home = os.Getenv("HOME") // this user's daemon is there, whatever the system's table says
		}
	}
	if !namePattern.MatchString(b.user) {
		return usageError(fmt.Sprintf("%q is not a user name", b.user))
	}
	if b.name != "" && !namePattern.MatchString(b.name) {
		return usageError(fmt.Sprintf("%q is not a service name", b.name))
	}
	if b.home == "" {
		u, err := user.Lookup(b.user)
		if err != nil {
			return usageError(err.Error())
		}
		b.home = u.HomeDir
	}
	return nil
}

// initSystems maps PM2's words for init systems to ours.
var initSystems = map[string]string{
	"systemd": "systemd", "ubuntu": "systemd", "centos": "systemd", "redhat": "systemd", "arch": "systemd", "oracle": "systemd", "debian": "systemd",
	"upstart": "upstart", "ubuntu14": "upstart", "ubuntu12": "upstart", "systemv": "System V init", "amazon": "System V init", "centos6": "System V init",
	"launchd": "launchd", "darwin": "launchd", "macos": "launchd", "openrc": "OpenRC", "gentoo": "OpenRC",
	"rcd": "rc.d", "freebsd": "rc.d", "rcd-openbsd": "rc.d", "openbsd": "rc.d",
}

// platform checks that the requested init system is systemd, and that it is there. For another
// one it prints the command to run.
func (b *boot) platform(c *control, args []string) error {
	name := "systemd"
	if len(args) > 0 {
		known, ok := initSystems[strings.ToLower(args[0])]
		if !ok {
			return usageError(fmt.Sprintf("%q is not a supported init system: startup needs systemd", args[0]))
		}
		name = known
	}
	info, err := os.Stat(b.folder)
	switch {
	case name != "systemd":
		name = "startup is for systemd, not for " + name
	case b.print || err == nil && info.IsDir():
		return nil
	default:
		name = "there is no systemd here: " + b.folder + " is not there"
	}
	unit, err := b.unit(c)
	if err != nil {
		return err
	}
	return fmt.Errorf("%s. Have your init system run this at boot, as %s, and again when it ends; SIGTERM stops it:\n  env %s %s", name, b.user,
		strings.Join(unit.Env, " "), strings.Join(unit.Command, " "))
}

func (b *boot) service() string { return cmp.Or(b.name, "sidereal-"+b.user) + ".service" }

func (b *boot) path() string { return filepath.Join(b.folder, b.service()) }

// wanted returns the link by which systemd starts the service at boot.
func (b *boot) wanted() string {
	return filepath.Join(b.folder, systemd.BootTarget+".wants", b.service())
}

// unit returns the service, which runs resurrect in the foreground.
func (b *boot) unit(c *control) (systemd.Unit, error) {
	self, err := os.Executable()
	if err != nil {
		return systemd.Unit{}, err
	}
	if inCache(self) {
		return systemd.Unit{}, fmt.Errorf("%s is in a cache, which npm may clear before the next boot; install it first: npm install --global sidereal", self)
	}
	home := cmp.Or(homeFolder(c.set.Home), filepath.Join(b.home, daemon.HomeName))
	return systemd.Unit{
		Description: "Socket.IO apps of " + b.user, User: b.user,
		Command:     []string{self, "resurrect", "--no-daemon"},
		Env:         []string{"HOME=" + b.home, "PATH=" + os.Getenv("PATH"), "SIDEREAL_HOME=" + home},
		StopTimeout: unitTimeout,
	}, nil
}

// inCache reports whether npx, `pnpm dlx`, `yarn dlx` or bunx fetched this program for one use.
func inCache(program string) bool {
	return slices.ContainsFunc(strings.Split(program, "/"), func(folder string) bool {
		return folder == "_npx" || folder == "dlx" || strings.HasPrefix(folder, "dlx-") || strings.HasPrefix(folder, "xfs-") || strings.HasPrefix(folder, "bunx-")
	})
}

func (b *boot) install(ctx context.Context, c *control) error {
	unit, err := b.unit(c)
	if err != nil {
		return err
	}
	if b.print {
		_, err := fmt.Fprint(c.out, unit.Text())
		return err
	}
	if err := b.asRoot(c, "startup"); err != nil {
		return err
	}
	if err := os.WriteFile(b.path(), []byte(unit.Text()), 0o644); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(b.wanted()), 0o755); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join("..", b.service()), b.wanted()); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	c.say("Wrote %s", b.path())
	if err := b.reload(ctx, c); err != nil {
		return err
	}
	c.say("At boot, systemd starts what `%s save` has written down. To hand over now: %s save, %s kill, systemctl start %s", calledAs(), calledAs(), calledAs(), b.service())
	return nil
}

func (b *boot) remove(ctx context.Context, c *control) error {
	if _, err := os.Stat(b.path()); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no file %s: systemd starts nothing at boot for %s", b.path(), b.user)
	}
	if b.print {
		c.say("%s would be removed", b.path())
		return nil
	}
	if err := b.asRoot(c, "unstartup"); err != nil {
		return err
	}
	if err := os.Remove(b.wanted()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Remove(b.path()); err != nil {
		return err
	}
	c.say("Removed %s", b.path())
	return b.reload(ctx, c)
}

// asRoot prints the command to run with root's rights.
func (b *boot) asRoot(c *control, verb string) error {
	if os.Geteuid() == 0 || b.folder != unitFolder {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "This needs root. Run:\n\n  sudo env PATH=$PATH %s %s systemd -u %s --hp %s\n\n", self, verb, b.user, b.home)
	return exitCode(1)
}

// reload makes systemd read its units. In containers and images systemd doesn't run, and reads
// them when it starts.
func (b *boot) reload(ctx context.Context, c *control) error {
	if _, err := os.Stat("/run/systemd/system"); err != nil || b.folder != unitFolder {
		return nil
	}
	cmd := exec.CommandContext(ctx, "systemctl", "daemon-reload")
	cmd.Stdout, cmd.Stderr = c.err, c.err
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("systemctl daemon-reload: %w", err)
	}
	return nil
}
