// Server-sent events, as they arrive.

/** Give the data of each event of a response's body. Comments, which are signs of life, are left out. */
export async function* events(body) {
  for await (const { data } of namedEvents(body)) if (data !== null) yield data;
}

/** Give the name and the data of each event, each of which has one line of data; the data of a comment is null. */
export async function* namedEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let name = "message";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("event:")) name = line.slice(6).trim();
      else if (line.startsWith("data:")) yield { name, data: line.slice(5).trim() };
      else if (line.startsWith(":")) yield { name: "comment", data: null };
      else if (line.trim() === "") name = "message";
    }
  }
}
