// One stream and one tool call with each JavaScript SDK, through the proxy.
//   npm install openai @anthropic-ai/sdk @google/genai ai @ai-sdk/{openai,openai-compatible,anthropic,google} zod
//   PROXY_KEY=sk-… node javascript.mjs
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { z } from "zod";

const url = process.env.PROXY_URL ?? "http://127.0.0.1:3001";
const key = process.env.PROXY_KEY ?? "sk-demo";
const [gpt, claude, gem] = ["gpt-5", "claude-sonnet-4-6", "gemini-3.5-flash"];
const question = "What is the weather in Paris? Use get_weather.";
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 });
const google = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: url } });
const weather = tool({ inputSchema: z.object({ city: z.string() }), execute: async () => "22 °C and sunny" });

async function withAiSdk(model) {
  // Without `store: false`, OpenAI's provider refers to items that only one deployment keeps.
  const common = { model, maxRetries: 0, providerOptions: { openai: { store: false } } };
  const text = await streamText({ ...common, prompt: "Hello" }).text;
  const tools = { get_weather: weather };
  const answer = await generateText({ ...common, prompt: question, tools, stopWhen: stepCountIs(2) });
  return [text, answer.steps[0].toolCalls[0].toolName, answer.text];
}

const runs = {
  "openai chat": async () => {
    const stream = openai.chat.completions.stream({ model: gpt, messages: [{ role: "user", content: "Hello" }] });
    const tools = [{ type: "function", function: { name: "get_weather", parameters: schema } }];
    const asked = await openai.chat.completions.stream({ model: gpt, tools, messages: [{ role: "user", content: question }] }).finalChatCompletion();
    return [await stream.finalContent(), asked.choices[0].message.tool_calls[0].function.name];
  },
  "openai responses": async () => {
    const stream = await openai.responses.stream({ model: gpt, input: "Hello" }).finalResponse();
    const tools = [{ type: "function", name: "get_weather", parameters: schema, strict: false }];
    const asked = await openai.responses.stream({ model: gpt, tools, input: question }).finalResponse();
    return [stream.output_text, asked.output.find((item) => item.type === "function_call").name];
  },
  "@anthropic-ai/sdk": async () => {
    const text = await anthropic.messages.stream({ model: claude, max_tokens: 500, messages: [{ role: "user", content: "Hello" }] }).finalText();
    const tools = [{ name: "get_weather", input_schema: schema }];
    const asked = await anthropic.messages.stream({ model: claude, max_tokens: 500, tools, messages: [{ role: "user", content: question }] }).finalMessage();
    return [text, asked.content.find((block) => block.type === "tool_use").name];
  },
  "@google/genai": async () => {
    let text = "";
    for await (const chunk of await google.models.generateContentStream({ model: gem, contents: "Hello" })) text += chunk.text ?? "";
    const tools = [{ functionDeclarations: [{ name: "get_weather", parametersJsonSchema: schema }] }];
    const asked = await google.models.generateContent({ model: gem, contents: question, config: { tools } });
    return [text, asked.functionCalls[0].name];
  },
  "ai + @ai-sdk/openai": () => withAiSdk(createOpenAI({ baseURL: `${url}/v1`, apiKey: key })(gpt)),
  "ai + @ai-sdk/openai-compatible": () => withAiSdk(createOpenAICompatible({ name: "aicore", baseURL: `${url}/v1`, apiKey: key })(gpt)),
  "ai + @ai-sdk/anthropic": () => withAiSdk(createAnthropic({ baseURL: `${url}/v1`, apiKey: key })(claude)),
  "ai + @ai-sdk/google": () => withAiSdk(createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey: key })(gem)),
};

for (const [name, run] of Object.entries(runs)) {
  try {
    console.log("ok  ", name, JSON.stringify(await run()));
  } catch (error) {
    process.exitCode = 1;
    console.log("FAIL", name, error);
  }
}
