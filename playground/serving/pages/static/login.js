// The dialog that asks for a key.

/** Ask the person; resolves with what was typed. */
export function askForKey(words) {
  const dialog = document.getElementById("login");
  const field = document.getElementById("key");
  document.getElementById("login-words").textContent = words || "Your key, or a token of your identity provider.";
  field.value = "";
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => resolve(field.value.trim()), { once: true });
  });
}
