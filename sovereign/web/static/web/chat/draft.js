// What a person is about to say, as the contract takes it: the one place that knows its shape.

// text, and files as the tray has them ({ id, isImage, tools: names }) → a message that runs, threads and queues take.
// Images are parts of what is said; other files are handed to the assistant's tools.
export function messageOf(text, files = []) {
  const images = files.filter((file) => file.isImage).map((file) => ({ type: "image_file", image_file: { file_id: file.id } }));
  const attachments = files.filter((file) => !file.isImage).map(attachmentOf);
  const words = text ? [{ type: "text", text }] : [];
  const message = { role: "user", content: images.length ? [...words, ...images] : text };
  return attachments.length ? { ...message, attachments } : message;
}

// The same as the API lists it once it was taken.
export function asListed({ role, content, attachments = [] }) {
  const parts = typeof content === "string" ? [{ type: "text", text: content }] : content;
  return { role, attachments, content: parts.map(partAsListed) };
}

function partAsListed(part) {
  return part.type === "text" ? { type: "text", text: { value: part.text, annotations: [] } } : part;
}

function attachmentOf({ id, tools }) {
  return { file_id: id, tools: tools.map((type) => ({ type })) };
}
