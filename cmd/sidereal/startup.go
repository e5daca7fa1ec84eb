package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/systemd"
)

const (
	unitFolder  = "/etc/systemd/system"
	unitTimeout = 50 * time.Second // above what stopping takes by default
)

// boot is what startup and unstartup are about: a unit for one user.
type boot struct {
	user, home string
	print      bool
	folder     string // of the units
}

func (b *boot) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&b.user, "user", "u", "", "the `user` whose apps are started; default: this one, behind sudo the one before")
	cmd.Flags().StringVar(&b.home, "hp", "", "that user's home `folder`")
	cmd.Flags().StringVar(&b.folder, "unit-folder", unitFolder, "where systemd's units are")
}

func startupCommand() *cobra.Command {
	var b boot
	cmd := talkCommand(&cobra.Command{
		Use: "startup [systemd]", Short: "Have the saved apps started at boot, by systemd", Args: takes(0, 1),
		ValidArgsFunction: cobra.FixedCompletions([]string{"systemd"}, cobra.ShellCompDirectiveNoFileComp),
		Long: `Have systemd start the saved apps at boot, in the foreground of a service that it restarts. Not as root, this prints what to run.
Then write down what to start, with ` + "`save`" + `.`,
	}, func(ctx context.Context, c *control, args []string) error {
		if err := b.platform(args); err != nil {
			return err
		}
		return b.install(ctx, c)
	})
	b.flags(cmd)
	cmd.Flags().BoolVar(&b.print, "print", false, "print the unit, and do nothing")
	return cmd
}

func unstartupCommand() *cobra.Command {
	var b boot
	cmd := talkCommand(&cobra.Command{
		Use: "unstartup [systemd]", Short: "No longer start the saved apps at boot", Args: takes(0, 1),
		ValidArgsFunction: cobra.FixedCompletions([]string{"systemd"}, cobra.ShellCompDirectiveNoFileComp),
	}, func(ctx context.Context, c *control, args []string) error {
		if err := b.platform(args); err != nil {
			return err
		}
		return b.remove(ctx, c)
	})
	b.flags(cmd)
	return cmd
}

var userPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// platform looks at what was asked for, and finds the user.
func (b *boot) platform(args []string) error {
	if len(args) > 0 && args[0] != "systemd" {
		return fmt.Errorf("startup is for systemd: have %s run `%s resurrect --no-daemon` by itself", args[0], calledAs())
	}
	if b.user == "" {
		b.user = os.Getenv("SUDO_USER")
	}
	if b.user == "" {
		u, err := user.Current()
		if err != nil {
			return err
		}
		b.user, b.home = u.Username, u.HomeDir
	}
	if !userPattern.MatchString(b.user) {
		return usageError(fmt.Sprintf("%q is no user", b.user))
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

func (b *boot) service() string { return "sidereal-" + b.user + ".service" }

// unit is the service: what resurrect does, in the foreground.
func (b *boot) unit() (systemd.Unit, error) {
	self, err := os.Executable()
	if err != nil {
		return systemd.Unit{}, err
	}
	home := os.Getenv("SIDEREAL_HOME")
	if home == "" {
		home = filepath.Join(b.home, ".sidereal")
	}
	return systemd.Unit{
		Description: "Socket.IO apps of " + b.user, User: b.user,
		Command:     []string{self, "resurrect", "--no-daemon"},
		Env:         []string{"HOME=" + b.home, "PATH=" + os.Getenv("PATH"), "SIDEREAL_HOME=" + home},
		StopTimeout: unitTimeout,
	}, nil
}

func (b *boot) install(ctx context.Context, c *control) error {
	unit, err := b.unit()
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
	path := filepath.Join(b.folder, b.service())
	if err := os.WriteFile(path, []byte(unit.Text()), 0o644); err != nil {
		return err
	}
	c.say("Wrote %s", path)
	if err := systemctl(ctx, c, "daemon-reload"); err != nil {
		return err
	}
	if err := systemctl(ctx, c, "enable", b.service()); err != nil {
		return err
	}
	c.say("At boot, systemd starts what `%s save` has written down. To hand over now: %s save, %s kill, systemctl start %s", calledAs(), calledAs(), calledAs(), b.service())
	return nil
}

func (b *boot) remove(ctx context.Context, c *control) error {
	if err := b.asRoot(c, "unstartup"); err != nil {
		return err
	}
	path := filepath.Join(b.folder, b.service())
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s: nothing is started at boot for %s", path, b.user)
	}
	if err := systemctl(ctx, c, "disable", b.service()); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	c.say("Removed %s", path)
	return systemctl(ctx, c, "daemon-reload")
}

// asRoot tells what to run where this process may not.
func (b *boot) asRoot(c *control, verb string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "This needs root. Run:\n\n  sudo env PATH=$PATH %s %s systemd -u %s --hp %s\n\n", self, verb, b.user, b.home)
	return exitCode(1)
}

// systemctl has systemd do something. Where it does not run, as in containers and images, the unit is there all the same.
func systemctl(ctx context.Context, c *control, args ...string) error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		c.warn(fmt.Sprintf("systemd does not run here: run `systemctl %s` where it does", args[0]))
		return nil
	}
	cmd := exec.CommandContext(ctx, "systemctl", args...)
	cmd.Stdout, cmd.Stderr = c.err, c.err
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("systemctl %s: %w", args[0], err)
	}
	return nil
}
