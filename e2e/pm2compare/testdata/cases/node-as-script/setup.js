process.env.FROM_SETUP = "yes";
