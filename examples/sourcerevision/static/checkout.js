// Lets the buttons of the page check files out and in, and shows a refusal.
"use strict";

const user = document.getElementById("user");
const message = document.getElementById("message");
const answer = document.getElementById("answer");

if (user) {
  user.value = localStorage.getItem("user") ?? "";
}

for (const button of document.querySelectorAll("button[data-action]")) {
  button.addEventListener("click", async () => {
    if (!user.value.trim()) {
      answer.textContent = "Say who you are first.";
      user.focus();
      return;
    }
    localStorage.setItem("user", user.value);
    const response = await fetch(`/api/${button.dataset.action}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        filename: button.dataset.filename,
        user: user.value,
        message: message.value,
      }),
    });
    if (response.ok) {
      location.reload();
    } else {
      const { detail } = await response.json();
      answer.textContent = typeof detail === "string" ? detail : "The request was not understood.";
    }
  });
}
