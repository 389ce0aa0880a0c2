// Small forms that several views share.

import { html, nothing, type TemplateResult } from "lit";

/** A form of one line, emptied when `act` says that it is done. */
export function lineForm(id: string, label: string, example: string, button: string, act: (text: string) => Promise<boolean>): TemplateResult {
  return addressForm(id, label, example, [{ button, act }]);
}

/** What one of several buttons does with a form's line. */
export interface LineAction { readonly button: string; readonly act: (text: string) => Promise<boolean> }

/** A form of one line with a button for each thing that can be done with it; Enter does the first. */
export function addressForm(id: string, label: string, example: string, actions: readonly LineAction[]): TemplateResult {
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const chosen = event.submitter instanceof HTMLButtonElement ? Number(event.submitter.value) : 0;
    const input = form.querySelector("input");
    const text = input?.value.trim() ?? "";
    if (!input || text === "") return;
    input.focus();
    if ((await actions[chosen]?.act(text)) === true && input.value.trim() === text) input.value = "";
  };
  return html`
    <form class="line" @submit=${submit}>
      <label for=${id}>${label}</label>
      <input id=${id} placeholder=${example} autocomplete="off" autocapitalize="off" spellcheck="false">
      <span class="buttons">${actions.map(({ button }, index) => html`<button value=${index}>${button}</button>`)}</span>
    </form>
  `;
}

/** A button that says why it cannot be pressed, when it cannot. */
export function actionButton(words: string, act: () => void, { name, why }: { readonly name?: string; readonly why?: string | undefined } = {}): TemplateResult {
  return html`<button type="button" aria-label=${name ?? nothing} ?disabled=${why !== undefined} title=${why ?? nothing} @click=${act}>${words}</button>`;
}
