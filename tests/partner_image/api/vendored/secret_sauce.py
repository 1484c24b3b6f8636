SAUCE = "secret"
