// Forms, buttons and questions that several views share.

import { html, nothing, render, type TemplateResult } from "lit";

/** What one of several buttons does with a form's line; it says whether that was done. */
export interface LineAction { readonly button: string; readonly act: (text: string) => Promise<boolean> }

/** A form of one line with a button for each thing that can be done with it; Enter does the first. Emptied when it is done. */
export function lineForm(id: string, label: string, example: string, actions: readonly LineAction[], why?: string): TemplateResult {
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const chosen = event.submitter instanceof HTMLButtonElement ? Number(event.submitter.value) : 0;
    const input = form.querySelector("input");
    const text = input?.value.trim() ?? "";
    if (!input || text === "" || why !== undefined) return;
    input.focus();
    if ((await actions[chosen]?.act(text)) === true && input.value.trim() === text) input.value = "";
  };
  return html`
    <form class="line" @submit=${submit}>
      <label for=${id}>${label}</label>
      <input id=${id} placeholder=${example} autocomplete="off" autocapitalize="off" spellcheck="false" aria-describedby=${why ?? nothing}>
      <span class="buttons">${actions.map(({ button }, index) => html`<button value=${index} aria-disabled=${why === undefined ? nothing : "true"}>${button}</button>`)}</span>
    </form>
  `;
}

/** How a button is named when its words are not enough, and the id of what says why it cannot be pressed. */
export interface ButtonOptions { readonly name?: string; readonly why?: string | undefined; readonly kind?: "main" | "danger" }

/** A button that can be reached, and says why, when it cannot be pressed. */
export function actionButton(words: string, act: () => void, { name, why, kind }: ButtonOptions = {}): TemplateResult {
  return html`<button type="button" class=${kind ?? nothing} aria-label=${name ?? nothing} aria-disabled=${why === undefined ? nothing : "true"} aria-describedby=${why ?? nothing}
    @click=${why === undefined ? act : nothing}>${words}</button>`;
}

/** Asks before something is done that cannot be undone. Resolves to whether it is to be done. */
export async function isSure(question: string, yes: string): Promise<boolean> {
  const place = document.createElement("div");
  document.body.append(place);
  render(html`
    <dialog class="question" aria-labelledby="question">
      <form method="dialog">
        <h2 id="question">${question}</h2>
        <p class="buttons"><button value="no">Not now</button><button class="danger" value="yes">${yes}</button></p>
      </form>
    </dialog>`, place);
  const dialog = place.querySelector("dialog");
  if (dialog === null) return false;
  const closed = new Promise((resolve) => { dialog.addEventListener("close", resolve, { once: true }); });
  dialog.showModal();
  await closed;
  place.remove();
  return dialog.returnValue === "yes";
}
